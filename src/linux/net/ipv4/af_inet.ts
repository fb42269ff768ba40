/** net/ipv4/af_inet.c, by call. */

export * from './af_inet/calls.ts'
export * from './af_inet/create.ts'
export * from './af_inet/init.ts'
export * from './af_inet/rebuild.ts'
export * from './af_inet/state.ts'
