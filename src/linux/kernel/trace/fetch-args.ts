/**
 * What a probe event fetches: `$retval`, `$arg2`, `%di`, `+16(%si):u32`, `name=+0($arg1):string`.
 *
 * @see kernel/trace/trace_probe.c:parse_probe_arg, Documentation/trace/kprobetrace.rst
 */

import { hex, toVa } from '../../../base/addr.ts'
import { FaultError, UsageError } from '../../../base/errors.ts'
import { StructRef } from '../../../btf/ref.ts'
import type { Kernel } from '../../kernel.ts'

/** Registers of a function's arguments, in order, by word size. */
const REGISTERS: Readonly<Record<4 | 8, readonly string[]>> = {
  8: ['di', 'si', 'dx', 'cx', 'r8', 'r9'],
  4: ['ax', 'dx', 'cx'],
}
const STRING_MAX = 256

/** What a probe sees when it is hit. */
export interface ProbeContext {
  readonly args: readonly unknown[]
  /** Of a return probe. */
  readonly result?: unknown
}

type Fetch = (k: Kernel, context: ProbeContext) => bigint | string

/** One argument of an event, ready to be printed. */
export interface FetchArg {
  readonly name: string
  readonly print: (k: Kernel, context: ProbeContext) => string
}

/**
 * @param text `name=fetch:type`, the name and type optional
 * @param index from 0: an argument without name is `argN`
 * @param isReturn may `$retval` be used?
 * @throws UsageError naming the argument that cannot be understood
 */
export function parseFetchArg(text: string, index: number, isReturn: boolean, wordSize: 4 | 8): FetchArg {
  const match = /^(?:([A-Za-z_]\w*)=)?(.+?)(?::([a-z]+\d*))?$/.exec(text)
  if (match === null) throw bad(text)
  const [, name = `arg${index + 1}`, source = '', type = wordSize === 8 ? 'x64' : 'x32'] = match
  const fetch = parseFetch(source, isReturn, wordSize, text)
  if (type === 'string' || type === 'ustring') {
    return { name, print: (k, context) => printString(k, fetch(k, context)) }
  }
  const number = /^([usx])(8|16|32|64)$/.exec(type)
  if (number === null) throw bad(text)
  const [, kind = 'x', bits = '64'] = number
  return { name, print: (k, context) => printNumber(fetch(k, context), kind, Number(bits)) }
}

const bad = (text: string): UsageError => new UsageError(text, `${text} is no probe argument`)

function parseFetch(source: string, isReturn: boolean, wordSize: 4 | 8, whole: string): Fetch {
  const deref = /^([+-])u?(0x[0-9a-f]+|\d+)\((.+)\)$/i.exec(source)
  if (deref !== null) return memory(deref, isReturn, wordSize, whole)
  if (source === '$retval') {
    if (!isReturn) throw bad(whole)
    return (_, { result }) => toRegister(result)
  }
  if (source === '$comm') return (k) => k.current.comm.$string()
  const argument = /^\$arg([1-9]\d*)$/.exec(source)
  if (argument !== null) return (_, { args }) => toRegister(args[Number(argument[1]) - 1])
  if (source.startsWith('%')) {
    const index = REGISTERS[wordSize].indexOf(source.slice(1))
    if (index < 0) throw bad(whole)
    return (_, { args }) => toRegister(args[index])
  }
  const symbol = /^@([A-Za-z_][\w.]*)([+-]\d+)?$/.exec(source)
  if (symbol !== null) return (k) => readWord(k, k.sym(symbol[1] ?? '') + BigInt(symbol[2] ?? 0))
  throw bad(whole)
}

/** `+16(…)`: the word (or, for a string type, the string) that lies there. */
function memory(deref: RegExpExecArray, isReturn: boolean, wordSize: 4 | 8, whole: string): Fetch {
  const [, sign, distance = '0', inner = ''] = deref
  const offset = BigInt(distance) * (sign === '-' ? -1n : 1n)
  const base = parseFetch(inner, isReturn, wordSize, whole)
  const string = /:u?string$/.test(whole)
  const outermost = whole.includes('=') ? whole.slice(whole.indexOf('=') + 1) : whole
  const isOutermost = outermost.startsWith(deref[0])
  return (k, context) => {
    const at = base(k, context)
    if (typeof at === 'string') return at
    // a string is printed from where it lies; every other dereference reads a word
    return string && isOutermost ? BigInt.asUintN(64, at + offset) : readWord(k, at + offset)
  }
}

/** @returns the word, or 0 where nothing is mapped: the event says (fault) for strings only */
function readWord(k: Kernel, at: bigint): bigint {
  try {
    return k.mem.word(toVa(at, k.mem.wordSize))
  } catch (error) {
    if (error instanceof FaultError) return 0n
    throw error
  }
}

/** A value as a register holds it: pointers whole, an `int` in the low half. */
export function toRegister(value: unknown): bigint {
  if (value instanceof StructRef) return value.$addr
  if (typeof value === 'bigint') return BigInt.asUintN(64, value)
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value !== 'number' || !Number.isFinite(value)) return 0n
  // kernel addresses travel as negative numbers, negative ints are small
  const wide = Math.abs(value) > 0xffff_ffff
  return BigInt.asUintN(wide ? 64 : 32, BigInt(Math.trunc(value)))
}

function printNumber(value: bigint | string, kind: string, bits: number): string {
  if (typeof value === 'string') return `"${value}"`
  if (kind === 'x') return `0x${hex(BigInt.asUintN(bits, value))}`
  return (kind === 's' ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)).toString()
}

function printString(k: Kernel, at: bigint | string): string {
  if (typeof at === 'string') return `"${at}"`
  const va = toVa(at, k.mem.wordSize)
  let text = ''
  try {
    for (let i = 0; i < STRING_MAX; i++) {
      const c = k.mem.u8(va + i)
      if (c === 0) break
      text += String.fromCharCode(c)
    }
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
    return '(fault)'
  }
  return `"${text}"`
}
