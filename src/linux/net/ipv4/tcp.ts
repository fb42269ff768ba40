/** net/ipv4/tcp.c, by what a program does with a connection. */

export * from './tcp/close.ts'
export * from './tcp/init.ts'
export * from './tcp/options.ts'
export * from './tcp/orphan.ts'
export * from './tcp/state.ts'
export * from './tcp/transfer.ts'
