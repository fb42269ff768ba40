/** Socket addresses between the program and the kernel. @see net/socket.c:move_addr_to_kernel */

import type { Va } from '../../../base/addr.ts'
import { EFAULT, EINVAL } from '../../../abi/errno.ts'
import { SOCKADDR_STORAGE_LEN } from '../../../abi/in.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { copy_from_user, copy_to_user, type UserPtr } from '../../lib/usercopy.ts'

/** Room for any address on the stack. */
export const STORAGE = '__kernel_sockaddr_storage'

/** @returns 0, -EINVAL for a length no address has, -EFAULT */
export const move_addr_to_kernel = kfunc(
  'net/socket.c',
  function move_addr_to_kernel(k: Kernel, from: UserPtr, len: number, to: Va): number {
    if (len < 0 || len > SOCKADDR_STORAGE_LEN) return -EINVAL
    if (len === 0) return 0
    return copy_from_user(k, to, from, len) === 0 ? 0 : -EFAULT
  },
)

/**
 * As much of the address as the program has room for, and how long it really is.
 * @param room user address of the length, in and out
 * @returns 0, -EINVAL, -EFAULT
 */
export const move_addr_to_user = kfunc(
  'net/socket.c',
  function move_addr_to_user(k: Kernel, from: Va, len: number, to: UserPtr, room: UserPtr): number {
    const has = new Uint8Array(4)
    if (copy_from_user(k, has, room, 4) !== 0) return -EFAULT
    const length = new DataView(has.buffer).getInt32(0, true)
    if (length < 0) return -EINVAL
    const n = Math.min(length, len)
    if (n > 0 && copy_to_user(k, to, from, n) !== 0) return -EFAULT
    return copy_to_user(k, room, Uint8Array.of(len & 0xff, len >>> 8, 0, 0), 4) === 0 ? 0 : -EFAULT
  },
)
