/** @see include/uapi/linux/un.h, include/net/af_unix.h */

export const UNIX_PATH_MAX = 108
/** `offsetof(struct sockaddr_un, sun_path)`: a name of no bytes. */
export const SUN_PATH = 2
export const SOCKADDR_UN_LEN = SUN_PATH + UNIX_PATH_MAX
/** Slots by inode and for sockets without a name, then as many for abstract names. */
export const UNIX_HASH_MOD = 255
export const UNIX_HASH_SIZE = 512
