/** File modes and device numbers. @see include/uapi/linux/stat.h, include/linux/kdev_t.h */

export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000
/** Runs as its owner. */
export const S_ISUID = 0o4000
export const S_IRWXUGO = 0o777

/** Minor bits of a `dev_t`. */
const MINORBITS = 20
/** @see include/linux/kdev_t.h:MKDEV */
export const MKDEV = (major: number, minor: number): number => ((major << MINORBITS) | minor) >>> 0
export const MAJOR = (dev: number): number => dev >>> MINORBITS
export const MINOR = (dev: number): number => dev & ((1 << MINORBITS) - 1)

/** @see include/uapi/linux/major.h */
export const MEM_MAJOR = 1
export const TTY_MAJOR = 4
export const TTYAUX_MAJOR = 5
export const UNIX98_PTY_SLAVE_MAJOR = 136
