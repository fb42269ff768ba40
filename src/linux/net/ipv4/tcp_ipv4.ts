/** net/ipv4/tcp_ipv4.c, by side. */

export * from './tcp_ipv4/active.ts'
export * from './tcp_ipv4/passive.ts'
export * from './tcp_ipv4/rcv.ts'
export * from './tcp_ipv4/reply.ts'
export * from './tcp_ipv4/tables.ts'
export * from './tcp_ipv4/unique.ts'
