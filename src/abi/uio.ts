/** Vectors of buffers and their iterators. @see include/linux/uio.h, include/uapi/linux/uio.h */

/** `iov_iter.iter_type` */
export const ITER_IOVEC = 0
export const ITER_KVEC = 1
export const ITER_BVEC = 2
export const ITER_UBUF = 6

/** `iov_iter.data_source`: what the iterator is to a copy. */
export const ITER_DEST = 0
export const ITER_SOURCE = 1

/** Elements a system call keeps on its stack. */
export const UIO_FASTIOV = 8
export const UIO_MAXIOV = 1024
/** Most bytes one call moves. @see include/linux/fs.h:MAX_RW_COUNT */
export const MAX_RW_COUNT = 0x7fff_f000

/** What `security_file_permission` is asked. @see include/linux/fs.h */
export const MAY_WRITE = 0x2
export const MAY_READ = 0x4
