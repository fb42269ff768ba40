/**
 * Moving bytes between the kernel and the running process. User addresses are those of the current task; what is
 * not mapped there is counted, not copied.
 *
 * @see lib/usercopy.c, arch/x86/lib/usercopy_64.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import { FaultError } from '../../base/errors.ts'
import { SourceKind } from '../../memory/memory.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import type { Kernel } from '../kernel.ts'

/** A user address as a system call's argument has it. */
export type UserPtr = Va | bigint

/** End of user space: TASK_SIZE_MAX with four-level tables. */
const TASK_SIZE_MAX = 0x7fff_ffff_f000

const userVa = (at: UserPtr): Va => (typeof at === 'bigint' ? toVa(at) : at)

/** Is the range in user space at all? @see arch/x86/include/asm/uaccess.h:access_ok */
export function access_ok(at: UserPtr, size: number): boolean {
  const va = userVa(at)
  return va >= 0 && va + size <= TASK_SIZE_MAX
}

/** Pages of the range that are there, as one piece from its start: bytes before the first that is not. */
function present(k: Kernel, va: Va, size: number): number {
  for (let at = va; at < va + size; at = (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE) {
    try {
      k.mem.phys(at)
    } catch (error) {
      if (error instanceof FaultError) return at - va
      throw error
    }
  }
  return size
}

/**
 * @param to kernel address, or bytes of the simulator's own
 * @returns bytes that could NOT be copied
 */
export function copy_from_user(k: Kernel, to: Va | Uint8Array, from: UserPtr, size: number): number {
  const va = userVa(from)
  const readable = access_ok(va, size) ? present(k, va, size) : 0
  if (readable > 0) {
    if (typeof to === 'number') k.mem.copy(to, va, readable)
    else to.set(k.mem.read(va, readable))
  }
  return size - readable
}

/**
 * @param from kernel address, or bytes of the simulator's own
 * @returns bytes that could NOT be copied
 */
export function copy_to_user(k: Kernel, to: UserPtr, from: Va | Uint8Array, size: number): number {
  const va = userVa(to)
  const writable = access_ok(va, size) ? present(k, va, size) : 0
  if (writable > 0) {
    if (typeof from === 'number') k.mem.copy(va, from, writable)
    else k.mem.write(va, from.subarray(0, writable), SourceKind.None)
  }
  return size - writable
}

/** A NUL-terminated string. @returns undefined where it cannot be read (-EFAULT) or has no end within `limit` */
export function strncpy_from_user(k: Kernel, from: UserPtr, limit: number): string | undefined {
  const va = userVa(from)
  const readable = access_ok(va, 1) ? present(k, va, Math.min(limit, TASK_SIZE_MAX - va)) : 0
  const bytes = k.mem.read(va, readable)
  const end = bytes.indexOf(0)
  return end < 0 ? undefined : Buffer.from(bytes.subarray(0, end)).toString('latin1')
}
