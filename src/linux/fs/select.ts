/** Waiting for several files at once. @see fs/select.c */

export { poll_wait, vfs_poll } from '../include/linux/poll.ts'
export * from './select/do_poll.ts'
export * from './select/do_select.ts'
export * from './select/poll_wqueues.ts'
export * from './select/timeout.ts'
