/**
 * Parameters: `name=value` words become variables, through `kernel_param.ops->set` as it lies in memory.
 *
 * @see kernel/params.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { kernel_param } from '../../btf/vmlinux.ts'
import { EINVAL, ENOENT, ENOSPC, ERANGE } from '../../abi/errno.ts'
import { INIT_LIST_HEAD, list_add } from '../../structures/list.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { cString } from '../lib/vsprintf.ts'
import { kmalloc } from '../mm/slab.ts'
import { since } from '../version.ts'
import { pr_err } from './printk/printk.ts'

const FILE = 'kernel/params.c'
const STRING_MAX = 1024

type Setter = (k: Kernel, value: string | null, kp: kernel_param) => number

/** The `param_ops_*` of the image and the list of strings they keep. @see kernel/params.c:STANDARD_PARAM_DEF */
export function init_param_ops(k: Kernel): void {
  for (const [type, set] of Object.entries(SETTERS)) {
    const at = k.symbols.get(`param_ops_${type}`)
    if (at === undefined) continue
    const ops = k.ref('kernel_param_ops', at)
    ops.set = k.text(set)
    ops.get = k.symbols.get(`param_get_${type}`) ?? 0n
    if (type === 'bool') ops.flags = 1 // KERNEL_PARAM_OPS_FL_NOARG
    if (type === 'charp') ops.free = k.symbols.get('param_free_charp') ?? 0n
  }
  const arrays = k.symbols.get('param_array_ops')
  if (arrays !== undefined) k.ref('kernel_param_ops', arrays).set = k.text(param_array_set)
  const list = k.symbols.get('kmalloced_params')
  if (list !== undefined) INIT_LIST_HEAD(k.mem, toVa(list, k.mem.wordSize))
}

/** A number as the kernel reads it: decimal, 0x hexadecimal or 0 octal. @see lib/kstrtox.c:kstrtoull */
function kstrto(text: string, bits: number, signed: boolean): bigint | undefined {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|\d+)\n?$/.exec(text)
  if (match === null) return undefined
  const [, sign, digits = ''] = match
  if (sign === '-' && !signed) return undefined
  if (/^0\d/.test(digits) && !/^[0-7]+$/.test(digits)) return undefined
  const size = /^0\d/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits)
  const value = sign === '-' ? -size : size
  const fits = signed ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value
  return fits ? value : undefined
}

const NUMBERS: Readonly<Record<string, readonly [bits: number, signed: boolean]>> = {
  byte: [8, false],
  short: [16, true],
  ushort: [16, false],
  int: [32, true],
  uint: [32, false],
  long: [0, true],
  ulong: [0, false],
}

/** A number, if one that may be too large. */
const isNumber = (text: string, signed: boolean): boolean =>
  (signed ? /^[+-]?(0x[0-9a-f]+|\d+)$/i : /^\+?(0x[0-9a-f]+|\d+)$/i).test(text)

/** Declare `param_set_TYPE` for a number. Up to 3.17 one out of range was as bad as none. */
function numberSetter(type: string, width: number, signed: boolean) {
  const name = `param_set_${type}`
  const functions = {
    [name]: (k: Kernel, value: string | null, kp: kernel_param): number => {
      const bits = width === 0 ? k.mem.wordSize * 8 : width
      const number = kstrto(value ?? '', bits, signed)
      if (number === undefined) return isNumber(value ?? '', signed) && since(k, 3, 17) ? -ERANGE : -EINVAL
      storeNumber(k, toVa(kp.arg, k.mem.wordSize), bits, number)
      return 0
    },
  }
  return kfunc(FILE, functions[name] as Setter)
}

function storeNumber(k: Kernel, at: Va, bits: number, value: bigint): void {
  const plain = BigInt.asUintN(bits, value)
  if (bits === 8) k.mem.setU8(at, Number(plain))
  else if (bits === 16) k.mem.setU16(at, Number(plain))
  else if (bits === 32) k.mem.setU32(at, Number(plain))
  else k.mem.setU64(at, plain)
}

/** @see kernel/params.c:param_set_bool */
const param_set_bool = kfunc(
  FILE,
  function param_set_bool(k, value: string | null, kp: kernel_param): number {
    const text = value ?? '1'
    const truth = /^[yY1]|^[oO][nN]/.test(text) ? 1 : /^[nN0]|^[oO][fF]/.test(text) ? 0 : undefined
    if (truth === undefined) return -EINVAL
    k.mem.setU8(toVa(kp.arg, k.mem.wordSize), truth)
    return 0
  },
)

/**
 * The string is copied; the variable points at the copy.
 * @see kernel/params.c:param_set_charp
 */
const param_set_charp = kfunc(
  FILE,
  function param_set_charp(k, value: string | null, kp: kernel_param): number {
    const text = value ?? ''
    if (text.length > STRING_MAX) {
      pr_err(k, `${cString(k, kp.name)}: string parameter too long`)
      return -ENOSPC
    }
    const link = 2 * k.mem.wordSize
    const copy = kmalloc(k, link + text.length + 1)
    const list = k.symbols.get('kmalloced_params')
    if (list !== undefined) list_add(k.mem, copy, toVa(list, k.mem.wordSize))
    k.mem.write(copy + link, Buffer.from(`${text}\0`, 'latin1'))
    k.mem.setPointer(toVa(kp.arg, k.mem.wordSize), copy + link)
    return 0
  },
)

/**
 * Values parted by commas, each set as one of the element's type.
 * @see kernel/params.c:param_array_set
 */
const param_array_set = kfunc(
  FILE,
  function param_array_set(k, value: string | null, kp: kernel_param): number {
    const arr = k.ref('kparam_array', kp.arg)
    const ops = arr.ops
    const values = (value ?? '').split(',')
    const elem = toVa(arr.elem, k.mem.wordSize)
    const one = k.local('kernel_param')
    k.mem.copy(one.$va, kp.$va, kp.$size)
    for (const [i, text] of values.entries()) {
      if (i === arr.max) {
        pr_err(k, `${cString(k, kp.name)}: can only take ${arr.max} arguments`)
        return -EINVAL
      }
      k.mem.setPointer(one.$vaOf('arg'), elem + i * arr.elemsize)
      const rc = ops === null ? -EINVAL : k.indirect<Setter>(ops.set)(k, text, one)
      if (rc !== 0) return rc
    }
    if (arr.num !== 0n) k.mem.setU32(toVa(arr.num, k.mem.wordSize), values.length)
    return 0
  },
  { locals: 40 },
)

const SETTERS = {
  ...Object.fromEntries(
    Object.entries(NUMBERS).map(
      ([type, [bits, signed]]) => [type, numberSetter(type, bits, signed)] as const,
    ),
  ),
  bool: param_set_bool,
  charp: param_set_charp,
}

/** Words of a parameter string: blanks part them unless quoted. @see lib/cmdline.c:next_arg */
export function splitArgs(args: string): { param: string; value: string | null }[] {
  const words: { param: string; value: string | null }[] = []
  for (const word of args.match(/(?:"[^"]*"|[^\s"])+/g) ?? []) {
    const plain = /^"[^"]*"$/.test(word) ? word.slice(1, -1) : word
    const equals = plain.indexOf('=')
    if (equals < 0) words.push({ param: plain, value: null })
    else
      words.push({ param: plain.slice(0, equals), value: plain.slice(equals + 1).replace(/^"(.*)"$/, '$1') })
  }
  return words
}

const sameName = (a: string, b: string): boolean => a.replaceAll('-', '_') === b.replaceAll('-', '_')

/**
 * Set each parameter that `args` names.
 *
 * @param doing whose parameters: the module's name, for messages
 * @param kp    `struct kernel_param *`, an array of `num`
 * @param unknown called for a name that is not among them
 * @returns 0, or the negative errno of the first that is wrong
 * @see kernel/params.c:parse_args
 */
export const parse_args = kfunc(
  FILE,
  function parse_args(
    k,
    doing: string,
    args: string,
    kp: kernel_param,
    num: number,
    unknown: (k: Kernel, param: string, value: string | null) => number,
  ): number {
    for (const { param, value } of splitArgs(args)) {
      const rc = parse_one(k, param, value, kp, num, unknown)
      if (rc === 0) continue
      const text = value ?? ''
      if (rc === -ENOENT) pr_err(k, `${doing}: Unknown parameter \`${param}'`)
      else if (rc === -ENOSPC) pr_err(k, `${doing}: \`${text}' too large for parameter \`${param}'`)
      else pr_err(k, `${doing}: \`${text}' invalid for parameter \`${param}'`)
      return rc
    }
    return 0
  },
)

function parse_one(
  k: Kernel,
  param: string,
  value: string | null,
  kp: kernel_param,
  num: number,
  unknown: (k: Kernel, param: string, value: string | null) => number,
): number {
  for (let i = 0; i < num; i++) {
    const entry = kp.$index(i)
    if (!sameName(cString(k, entry.name), param)) continue
    const { ops } = entry
    if (ops === null || (value === null && (ops.flags & 1) === 0)) return -EINVAL
    return k.indirect<Setter>(ops.set)(k, value, entry)
  }
  return unknown(k, param, value)
}
