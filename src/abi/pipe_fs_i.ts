/** Pipes. @see include/linux/pipe_fs_i.h, include/uapi/linux/magic.h */

export const PIPEFS_MAGIC = 0x5049_5045n
/** Buffers of a new pipe. */
export const PIPE_DEF_BUFFERS = 16
/** `pipe_buffer.flags` */
export const PIPE_BUF_FLAG_PACKET = 0x08
export const PIPE_BUF_FLAG_CAN_MERGE = 0x10

/** `fcntl` commands of a pipe's size. @see include/uapi/linux/fcntl.h */
export const F_SETPIPE_SZ = 1031
export const F_GETPIPE_SZ = 1032
