/** net/core/sock.c, by what its parts are about. */

export * from './sock/alloc.ts'
export * from './sock/dst.ts'
export * from './sock/init.ts'
export * from './sock/lock.ts'
export * from './sock/mem.ts'
export * from './sock/options.ts'
export * from './sock/timer.ts'
