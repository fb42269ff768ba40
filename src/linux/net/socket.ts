/** Sockets as the program sees them. @see net/socket.c */

export * from './socket/calls.ts'
export * from './socket/create.ts'
export * from './socket/file-ops.ts'
export * from './socket/kernel.ts'
export * from './socket/messages.ts'
export * from './socket/socketcall.ts'
export * from './socket/pair.ts'
export * from './socket/sockfs.ts'
export * from './socket/transfer.ts'
