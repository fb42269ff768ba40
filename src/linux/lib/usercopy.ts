/**
 * Moving bytes between the kernel and the running process. User addresses are those of the current task; what is
 * not mapped there is counted, not copied.
 *
 * @see lib/usercopy.c, arch/x86/lib/usercopy_64.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import { SourceKind } from '../../memory/memory.ts'
import { PAGE_SIZE, TASK_SIZE_MAX } from '../../abi/page.ts'
import type { Kernel } from '../kernel.ts'
import { faultIn } from '../mm/user_pages.ts'

/** A user address as a system call's argument has it. */
export type UserPtr = Va | bigint

const userVa = (at: UserPtr): Va => (typeof at === 'bigint' ? toVa(at) : at)

/** Is the range in user space at all? @see arch/x86/include/asm/uaccess.h:access_ok */
export function access_ok(k: Kernel, at: UserPtr, size: number): boolean {
  const va = userVa(at)
  return va >= 0 && va + size <= TASK_SIZE_MAX(k.mem.wordSize)
}

/** Pages of the range that are there or can be made so, as one piece from its start: bytes before the first that cannot. */
function present(k: Kernel, va: Va, size: number): number {
  const { mm } = k.current
  return mm === null ? 0 : faultIn(k, mm, va, size)
}

/**
 * @param to kernel address, or bytes of the simulator's own
 * @returns bytes that could NOT be copied
 */
export function copy_from_user(k: Kernel, to: Va | Uint8Array, from: UserPtr, size: number): number {
  const va = userVa(from)
  const readable = access_ok(k, va, size) ? present(k, va, size) : 0
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
  const writable = access_ok(k, va, size) ? present(k, va, size) : 0
  if (writable > 0) {
    if (typeof from === 'number') k.mem.copy(va, from, writable)
    else k.mem.write(va, from.subarray(0, writable), SourceKind.None)
  }
  return size - writable
}

/** A NUL-terminated string. @returns undefined where it cannot be read (-EFAULT) or has no end within `limit` */
export function strncpy_from_user(k: Kernel, from: UserPtr, limit: number): string | undefined {
  const va = userVa(from)
  if (!access_ok(k, va, 1)) return undefined
  let text = ''
  for (let at = va; at < va + limit;) {
    const n = Math.min(PAGE_SIZE - (at % PAGE_SIZE), va + limit - at)
    if (present(k, at, n) < n) return undefined
    const bytes = k.mem.read(at, n)
    const end = bytes.indexOf(0)
    text += Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
    if (end >= 0) return text
    at += n
  }
  return undefined
}

/** Bytes of the current task's memory; undefined (-EFAULT) where it has none. */
export function readUser(k: Kernel, from: UserPtr, size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size)
  return copy_from_user(k, bytes, from, size) === 0 ? bytes : undefined
}

/** @returns the integer, or undefined (-EFAULT) @see arch/x86/include/asm/uaccess.h:get_user */
export function get_user(k: Kernel, from: UserPtr, size: 1 | 2 | 4 | 8): bigint | undefined {
  const bytes = readUser(k, from, size)
  return bytes?.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

/** @returns whether it could be stored @see arch/x86/include/asm/uaccess.h:put_user */
export function put_user(k: Kernel, value: bigint | number, to: UserPtr, size: 1 | 2 | 4 | 8): boolean {
  const bytes = new Uint8Array(size)
  for (let i = 0, v = BigInt.asUintN(64, BigInt(value)); i < size; i++, v >>= 8n) bytes[i] = Number(v & 0xffn)
  return copy_to_user(k, to, bytes, size) === 0
}
