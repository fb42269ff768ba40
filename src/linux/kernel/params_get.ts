/** What a parameter holds, as text: `kernel_param_ops.get`, for /sys/module/NAME/parameters. @see kernel/params.c:STANDARD_PARAM_DEF */

import { toVa } from '../../base/addr.ts'
import type { kernel_param } from '../../btf/vmlinux.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { cString } from '../lib/vsprintf.ts'

const FILE = 'kernel/params.c'

/** `kernel_param_ops.get`: the text with its newline. */
export type ParamGet = (k: Kernel, kp: kernel_param) => string

const at = (k: Kernel, kp: kernel_param): number => toVa(kp.arg, k.mem.wordSize)
const signed = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits)

export const param_get_byte = kfunc(FILE, function param_get_byte(k, kp: kernel_param): string {
  return `${k.mem.u8(at(k, kp))}\n`
})
export const param_get_short = kfunc(FILE, function param_get_short(k, kp: kernel_param): string {
  return `${signed(k.mem.u16(at(k, kp)), 16)}\n`
})
export const param_get_ushort = kfunc(FILE, function param_get_ushort(k, kp: kernel_param): string {
  return `${k.mem.u16(at(k, kp))}\n`
})
export const param_get_int = kfunc(FILE, function param_get_int(k, kp: kernel_param): string {
  return `${k.mem.u32(at(k, kp)) | 0}\n`
})
export const param_get_uint = kfunc(FILE, function param_get_uint(k, kp: kernel_param): string {
  return `${k.mem.u32(at(k, kp))}\n`
})
export const param_get_long = kfunc(FILE, function param_get_long(k, kp: kernel_param): string {
  return `${BigInt.asIntN(k.mem.wordSize * 8, k.mem.word(at(k, kp)))}\n`
})
export const param_get_ulong = kfunc(FILE, function param_get_ulong(k, kp: kernel_param): string {
  return `${k.mem.word(at(k, kp))}\n`
})
export const param_get_bool = kfunc(FILE, function param_get_bool(k, kp: kernel_param): string {
  return k.mem.u8(at(k, kp)) === 0 ? 'N\n' : 'Y\n'
})
/** `(null)` where the pointer is NULL. */
export const param_get_charp = kfunc(FILE, function param_get_charp(k, kp: kernel_param): string {
  const text = k.mem.pointer(at(k, kp))
  return text === 0 ? '(null)\n' : `${cString(k, text)}\n`
})
