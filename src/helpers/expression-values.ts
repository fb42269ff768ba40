/** What C's operators do with values. */

import { UsageError } from '../base/errors.ts'
import { strip, type Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'
import { CValue, isSigned } from '../btf/value.ts'
import type { Memory } from '../memory/memory.ts'
import { commonType, INT, long, pointerTo, promoted, VOID } from './expression-types.ts'

/** A symbol whose type nobody knows: it has an address and can be cast. */
export function untyped(types: Types, mem: Memory, at: bigint): CValue {
  return CValue.at(types, mem, VOID, at)
}

export function isUntyped(value: CValue): boolean {
  return strip(value.type).kind === 'void'
}

/** Arrays and functions become pointers. */
function decayed(value: CValue): CValue {
  const type = strip(value.type)
  const target =
    type.kind === 'array'
      ? type.element
      : type.kind === 'func_proto' || type.kind === 'func'
        ? type
        : undefined
  if (target === undefined) return value
  return CValue.ofInteger(value.types, value.mem, pointerTo(target), value.addr ?? 0n)
}

/** Zero or not. */
export function truth(value: CValue): boolean {
  return number(value) !== 0n
}

function number(value: CValue): bigint {
  const type = strip(value.type)
  if (type.kind === 'struct' || type.kind === 'union' || type.kind === 'float' || type.kind === 'void')
    throw new UsageError('', 'Argument to arithmetic operation not a number or boolean.')
  return decayed(value).integer()
}

const made = (like: CValue, type: Type, value: bigint): CValue =>
  CValue.ofInteger(like.types, like.mem, type, value)
const flag = (like: CValue, value: boolean): CValue => made(like, INT, value ? 1n : 0n)

/** @param operator `||` or `&&`; both sides are already evaluated: nothing they do can be seen */
export function logical(operator: string, left: CValue, right: CValue): CValue {
  return flag(left, operator === '||' ? truth(left) || truth(right) : truth(left) && truth(right))
}

/** The unary operators. */
export function negate(operator: string, value: CValue): CValue {
  if (operator === '!') return flag(value, !truth(value))
  const type = promoted(value.types, value.type)
  const plain = number(value)
  return made(value, type, operator === '-' ? -plain : operator === '~' ? ~plain : plain)
}

/** `*p`. Integers are taken as addresses of longs, as gdb does. */
export function dereference(value: CValue): CValue {
  const pointer = decayed(value)
  const type = strip(pointer.type)
  if (type.kind === 'ptr') {
    if (strip(type.target).kind === 'void')
      throw new UsageError('*', 'Attempt to take contents of a non-pointer value.')
    return CValue.at(value.types, value.mem, type.target, pointer.integer())
  }
  if (type.kind === 'int') return CValue.at(value.types, value.mem, long(value.types), number(value))
  throw new UsageError('*', 'Attempt to take contents of a non-pointer value.')
}

/** `(type)value`. */
export function cast(value: CValue, type: Type): CValue {
  const to = strip(type)
  if (isUntyped(value)) return value.as(type)
  switch (to.kind) {
    case 'int':
      if (to.bool) return made(value, type, truth(value) ? 1n : 0n)
      return made(value, type, number(value))
    case 'ptr':
    case 'enum':
      return made(value, type, number(value))
    case 'void':
      return made(value, INT, 0n)
    default:
      if (value.addr !== undefined && value.types.sizeof(to) === value.size) return value.as(type)
      throw new UsageError('cast', 'Invalid cast.')
  }
}

const ARITHMETIC: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
}
const COMPARISON: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
}

/** The binary operators but `&&`, `||` and `@`. @throws UsageError for operands that make no sense */
export function binary(operator: string, one: CValue, other: CValue): CValue {
  const left = decayed(one)
  const right = decayed(other)
  if (strip(left.type).kind === 'ptr' || strip(right.type).kind === 'ptr')
    return pointerArithmetic(operator, left, right)
  const a = number(left)
  const b = number(right)
  if (operator === '<<' || operator === '>>') return shift(operator, left, a, b)
  const type = commonType(left.types, left.type, right.type)
  const as = (value: bigint): bigint =>
    isSigned(type) ? BigInt.asIntN(type.size * 8, value) : BigInt.asUintN(type.size * 8, value)
  const compare = COMPARISON[operator]
  if (compare !== undefined) return flag(left, compare(as(a), as(b)))
  if ((operator === '/' || operator === '%') && as(b) === 0n)
    throw new UsageError(operator, 'Division by zero')
  const compute = ARITHMETIC[operator]
  if (compute === undefined) throw new UsageError(operator, `operator ${operator} is not known`)
  return made(left, type, compute(as(a), as(b)))
}

function shift(operator: string, left: CValue, a: bigint, b: bigint): CValue {
  const type = promoted(left.types, left.type)
  if (b < 0n || b >= BigInt(type.size * 8)) return made(left, type, operator === '>>' && a < 0n ? -1n : 0n)
  return made(left, type, operator === '<<' ? a << b : a >> b)
}

function pointerArithmetic(operator: string, left: CValue, right: CValue): CValue {
  const a = BigInt.asUintN(64, number(left))
  const b = BigInt.asUintN(64, number(right))
  const compare = COMPARISON[operator]
  if (compare !== undefined) return flag(left, compare(a, b))
  const pointer = strip(left.type).kind === 'ptr' ? left : right
  const type = strip(pointer.type)
  const size = type.kind === 'ptr' ? BigInt(Math.max(1, left.types.sizeof(type.target))) : 1n
  const both = strip(left.type).kind === 'ptr' && strip(right.type).kind === 'ptr'
  if (operator === '-' && both) return made(left, long(left.types), BigInt.asIntN(64, a - b) / size)
  if (operator === '+' && !both) return made(pointer, pointer.type, pointer === left ? a + number(right) * size : b + number(left) * size) // prettier-ignore
  if (operator === '-' && pointer === left) return made(left, left.type, a - number(right) * size)
  // gdb computes with pointers as numbers elsewhere: masks of flags in low bits
  const compute = ARITHMETIC[operator]
  if (compute === undefined || ((operator === '/' || operator === '%') && b === 0n))
    throw new UsageError(operator, 'Argument to arithmetic operation not a number or boolean.')
  return made(left, long(left.types), compute(a, b))
}
