/**
 * Messages of 32-bit programs: their `struct msghdr` and vectors have members of 32 bits.
 * @see net/compat.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { msghdr } from '../../btf/vmlinux.ts'
import { EFAULT, EMSGSIZE } from '../../abi/errno.ts'
import type { Kernel } from '../kernel.ts'
import { iov_iter_init } from '../lib/iov_iter.ts'
import { copy_to_user, get_user, readUser, type UserPtr } from '../lib/usercopy.ts'
import { kmalloc } from '../mm/slab.ts'

/** `struct compat_msghdr`: offsets of its members, and bytes of all. */
const MSGHDR = { name: 0, namelen: 4, iov: 8, iovlen: 12, flags: 24, size: 28 } as const
const COMPAT_IOVEC_BYTES = 8
const UIO_MAXIOV = 1024

/** What a 32-bit message says. */
export interface CompatMessage {
  /** User address for the peer's, and its length. */
  readonly name: bigint
  readonly namelen: number
  /** The vectors, copied and widened: kernel memory, to be freed when the call is over. */
  readonly vectors: Va
}

/**
 * The program's message into the kernel's.
 * @returns what it says besides, or a negative errno
 * @see net/compat.c:get_compat_msghdr, lib/iov_iter.c:copy_compat_iovec_from_user
 */
export function get_compat_msghdr(
  k: Kernel,
  user: UserPtr,
  msg: msghdr,
  direction: number,
): CompatMessage | number {
  const raw = readUser(k, user, MSGHDR.size)
  if (raw === undefined) return -EFAULT
  const word = (at: number): number => Buffer.from(raw).readUInt32LE(at)
  const count = word(MSGHDR.iovlen)
  if (count > UIO_MAXIOV) return -EMSGSIZE
  const list = readUser(k, BigInt(word(MSGHDR.iov)), count * COMPAT_IOVEC_BYTES)
  if (list === undefined) return -EFAULT
  const vectors = k.ref('iovec', kmalloc(k, Math.max(count, 1) * k.types.sizeof('iovec')))
  let total = 0
  for (let i = 0; i < count; i++) {
    const view = Buffer.from(list).subarray(i * COMPAT_IOVEC_BYTES)
    vectors.$index(i).iov_base = BigInt(view.readUInt32LE(0))
    vectors.$index(i).iov_len = BigInt(view.readUInt32LE(4))
    total += view.readUInt32LE(4)
  }
  iov_iter_init(k, msg.msg_iter, direction, vectors, count, total)
  return { name: BigInt(word(MSGHDR.name)), namelen: word(MSGHDR.namelen), vectors: vectors.$va }
}

/** Where the program wants an address, and where its length; 0 when it wants none. */
export function compatName(k: Kernel, user: UserPtr): { readonly name: bigint; readonly length: Va } {
  const at = toVa(BigInt(user), k.mem.wordSize)
  return { name: get_user(k, at + MSGHDR.name, 4) ?? 0n, length: at + MSGHDR.namelen }
}

/** What became of the message. @returns 0 or -EFAULT */
export function put_compat_flags(k: Kernel, user: UserPtr, msg: msghdr): number {
  const at = toVa(BigInt(user), k.mem.wordSize) + MSGHDR.flags
  return copy_to_user(k, at, k.mem.read(msg.$vaOf('msg_flags'), 4), 4) === 0 ? 0 : -EFAULT
}
