/** Flags of open files and of descriptors. @see include/uapi/asm-generic/fcntl.h, include/linux/fs.h */

export const O_ACCMODE = 0o3
export const O_RDONLY = 0o0
export const O_WRONLY = 0o1
export const O_RDWR = 0o2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_DSYNC = 0o10000
export const FASYNC = 0o20000
export const O_DIRECT = 0o40000
export const O_LARGEFILE = 0o100000
export const O_DIRECTORY = 0o200000
export const O_NOFOLLOW = 0o400000
export const O_NOATIME = 0o1000000
export const O_CLOEXEC = 0o2000000
export const O_SYNC = 0o4010000
export const O_PATH = 0o10000000

export const F_DUPFD = 0
export const F_GETFD = 1
export const F_SETFD = 2
export const F_GETFL = 3
export const F_SETFL = 4
export const F_DUPFD_CLOEXEC = 1030
export const FD_CLOEXEC = 1

export const AT_FDCWD = -100

/** `file.f_mode` @see include/linux/fs.h */
export const FMODE_READ = 0x1
export const FMODE_WRITE = 0x2
export const FMODE_LSEEK = 0x4
export const FMODE_PREAD = 0x8
export const FMODE_PWRITE = 0x10
export const FMODE_EXEC = 0x20
export const FMODE_PATH = 0x4000
export const FMODE_ATOMIC_POS = 0x8000
export const FMODE_WRITER = 0x1_0000
export const FMODE_CAN_READ = 0x2_0000
export const FMODE_CAN_WRITE = 0x4_0000
export const FMODE_OPENED = 0x8_0000
export const FMODE_CREATED = 0x10_0000
export const FMODE_STREAM = 0x20_0000
export const FMODE_NOWAIT = 0x800_0000

/** @see include/uapi/linux/fs.h */
export const SEEK_SET = 0
export const SEEK_CUR = 1
export const SEEK_END = 2

/** Bytes of a path, its NUL included. @see include/uapi/linux/limits.h */
export const PATH_MAX = 4096
