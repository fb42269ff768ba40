/** Sockets of AF_INET6. @see net/ipv6/af_inet6.c */

export * from './af_inet6/create.ts'
export * from './af_inet6/init.ts'
export * from './af_inet6/names.ts'
export * from './af_inet6/stream.ts'
