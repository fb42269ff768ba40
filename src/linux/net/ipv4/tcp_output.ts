/** net/ipv4/tcp_output.c, by what is sent. */

export * from './tcp_output/control.ts'
export * from './tcp_output/mss.ts'
export * from './tcp_output/options.ts'
export * from './tcp_output/queue.ts'
export * from './tcp_output/transmit.ts'
