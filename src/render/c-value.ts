/** C values as gdb prints them with `set print pretty on`: nested, named, symbols after pointers. */

import { toVa } from '../base/addr.ts'
import { FaultError, type FaultReason } from '../base/errors.ts'
import { typeName } from '../btf/declare.ts'
import { isStruct, strip, type EnumType, type IntType, type StructType, type Type } from '../btf/type.ts'
import { CValue } from '../btf/value.ts'
import { charText, stringText } from './c-text.ts'

export interface PrintOptions {
  /** `init_task+168` for an address that a symbol holds; undefined for others. */
  readonly symbolize?: (address: bigint) => string | undefined
  /** 16: integers in hex. */
  readonly radix?: 10 | 16
  /** Longest string or array; default 256. */
  readonly printMax?: number
  /** Is there text worth following a `char *` to? Default: kernel addresses. */
  readonly textAt?: (address: bigint) => boolean
  /** Print arrays one element a line. */
  readonly printArray?: boolean
  /** Stop a string at its first NUL. */
  readonly nullStop?: boolean
}

const MAX_DEPTH = 32

/** What stands in place of a value that cannot be read. */
export function holeText(reason: FaultReason, address: bigint | undefined): string {
  if (reason === 'excluded') return '<excluded page>'
  return address === undefined ? `<${reason}>` : `<${reason} 0x${address.toString(16)}>`
}

/**
 * Print a value; lines after the first are indented by `depth` levels of two blanks.
 * Memory that cannot be read is named where its value would stand.
 */
export function valueText(value: CValue, options: PrintOptions = {}, depth = 0): string {
  return new Printer(options).print(value, depth)
}

/**
 * Print as the result of an expression: pointers (but not `char *`) say their type first.
 */
export function resultText(value: CValue, options: PrintOptions = {}): string {
  const type = stripQualifiers(value.type)
  const bare = strip(type)
  if (bare.kind === 'func_proto' || bare.kind === 'func') {
    const at = value.addr ?? 0n
    return `{${typeName(bare)}} ${new Printer(options).pointer(at)}`
  }
  const text = valueText(value, options)
  if (bare.kind !== 'ptr' || value.hole() !== undefined) return text
  if (type.kind === 'ptr' && namesChar(type.target)) return text
  return `(${typeName(value.type)}) ${text}`
}

/** The names of single-byte integers count as text in arrays and behind pointers; `bool` does not. */
export function isTextual(type: Type): boolean {
  const t = strip(type)
  return t.kind === 'int' && t.size === 1 && !t.bool
}

function namesChar(type: Type): boolean {
  return stripQualifiers(type).kind === 'int' && (stripQualifiers(type) as IntType).name === 'char'
}

function stripQualifiers(type: Type): Type {
  let t = type
  for (let hops = 0; hops < 64; hops++) {
    if (t.kind !== 'const' && t.kind !== 'volatile' && t.kind !== 'restrict' && t.kind !== 'type_tag') break
    t = t.target
  }
  return t
}

class Printer {
  readonly #options: PrintOptions
  readonly #max: number

  constructor(options: PrintOptions) {
    this.#options = options
    this.#max = options.printMax ?? 256
  }

  print(value: CValue, depth: number): string {
    const type = strip(value.type)
    if (isStruct(type)) return this.#struct(value, type, depth)
    if (type.kind === 'array') return this.#array(value, type.element, type.length, depth)
    const hole = value.hole()
    if (hole !== undefined) return holeText(hole.reason, value.addr)
    switch (type.kind) {
      case 'int':
        return this.#int(value, type)
      case 'enum':
        return enumValueText(type, value.integer())
      case 'ptr':
        return this.#pointer(value, type.target)
      case 'float':
        return floatText(value.bytes)
      case 'func':
      case 'func_proto':
        return `{${typeName(type)}} ${this.pointer(value.addr ?? 0n)}`
      default:
        return type.kind === 'void' ? 'void' : '<incomplete type>'
    }
  }

  /** `0xffff…`, with its symbol. */
  pointer(address: bigint): string {
    const symbol = address === 0n ? undefined : this.#options.symbolize?.(address)
    return `0x${address.toString(16)}${symbol === undefined ? '' : ` <${symbol}>`}`
  }

  #int(value: CValue, type: IntType): string {
    const number = value.integer()
    if (this.#options.radix === 16) {
      const bits = value.bitSize > 0 && number >= 0n ? value.bitSize : type.size * 8
      return `0x${BigInt.asUintN(bits, number).toString(16)}`
    }
    if (type.bool) return number === 0n ? 'false' : number === 1n ? 'true' : String(number)
    return type.size === 1 ? `${number} ${charText(Number(number & 0xffn))}` : String(number)
  }

  #pointer(value: CValue, target: Type): string {
    const address = value.integer()
    return this.pointer(address) + this.#textBehind(value, target, address)
  }

  /** The string a `char *` points to, with the blank before it. */
  #textBehind(value: CValue, target: Type, address: bigint): string {
    if (address === 0n || !isTextual(target)) return ''
    const worth =
      this.#options.textAt ?? ((a: bigint) => a >= 0xffff800000000000n || value.mem.wordSize === 4)
    if (!worth(address)) return ''
    const [bytes, fault] = this.#fetch(value, address)
    const cut = bytes.length === this.#max && bytes[bytes.length - 1] !== 0 && bytes[0] !== 0
    const text = fault === undefined || bytes.length > 0 ? ` ${stringText(bytes, this.#max, cut)}` : ' '
    if (fault === undefined) return text
    return `${text}<error: Cannot access memory at address 0x${fault.addr.toString(16)}>`
  }

  /** Bytes up to and with a NUL, at most as many as are printed. */
  #fetch(value: CValue, address: bigint): [Uint8Array, FaultError | undefined] {
    const bytes: number[] = []
    const va = toVa(address, value.mem.wordSize)
    if (Number.isNaN(va)) return [new Uint8Array(0), new FaultError(address, 1, 'non-canonical')]
    for (let i = 0; i < this.#max; i++) {
      try {
        const byte = value.mem.u8(va + i)
        bytes.push(byte)
        if (byte === 0) break
      } catch (error) {
        if (error instanceof FaultError) return [Uint8Array.from(bytes), error]
        throw error
      }
    }
    return [Uint8Array.from(bytes), undefined]
  }

  #struct(value: CValue, type: StructType, depth: number): string {
    if (type.members.length === 0) return '{<No data fields>}'
    if (depth > MAX_DEPTH) return '{...}'
    const blanks = ' '.repeat(2 * depth)
    const lines = type.members.map((member) => {
      const text = this.print(value.member(member), depth + 1)
      return `${blanks}  ${member.name === '' ? '' : `${member.name} = `}${text}`
    })
    return `{\n${lines.join(',\n')}\n${blanks}}`
  }

  #array(value: CValue, element: Type, length: number, depth: number): string {
    const size = value.types.sizeof(element)
    if (length === 0 || size === 0) {
      const address = value.addr ?? 0n
      return this.pointer(address) + this.#textBehind(value, element, address)
    }
    if (isTextual(element) && value.hole() === undefined) return this.#charArray(value.bytes)
    if (depth > MAX_DEPTH) return '{...}'
    const shown = Math.min(length, this.#max)
    const between = this.#options.printArray === true ? `,\n${' '.repeat(2 + 2 * depth)}` : ', '
    let text = ''
    for (let i = 0; i < shown; i++) text += (i === 0 ? '' : between) + this.print(value.element(i), depth + 1)
    return `{${text}${shown < length ? '...' : ''}}`
  }

  #charArray(bytes: Uint8Array): string {
    if (this.#options.nullStop !== true) return stringText(bytes, this.#max)
    const end = bytes.indexOf(0)
    const shown = end < 0 ? bytes : bytes.subarray(0, end + 1)
    return stringText(shown, this.#max)
  }
}

/** `A`, `(A | B | unknown: 0x8)`, or the number where the enum is no set of flags. */
export function enumValueText(type: EnumType, number: bigint): string {
  const exact = type.values.find(({ value }) => value === number)
  if (exact !== undefined) return exact.name
  if (!isFlagEnum(type)) return String(number)
  let rest = number
  const names: string[] = []
  for (const { name, value } of type.values) {
    if ((rest & value) === 0n) continue
    names.push(name)
    rest &= ~value
  }
  if (rest !== 0n) names.push(`unknown: 0x${BigInt.asUintN(64, rest).toString(16)}`)
  return names.length === 0 ? '0' : `(${names.join(' | ')})`
}

/** Every value one run of bits, and no value negative. */
function isFlagEnum(type: EnumType): boolean {
  return type.values.every(({ value }) => value >= 0n && isRunOfBits(value))
}

function isRunOfBits(value: bigint): boolean {
  if (value === 0n) return true
  const low = value & -value
  const top = value / low + 1n
  return (top & (top - 1n)) === 0n
}

function floatText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const number =
    bytes.length === 4 ? view.getFloat32(0, true) : bytes.length === 8 ? view.getFloat64(0, true) : NaN
  if (!Number.isFinite(number)) return Number.isNaN(number) ? 'nan' : number > 0 ? 'inf' : '-inf'
  const digits = number.toPrecision(bytes.length === 4 ? 9 : 17)
  return digits.includes('.') ? digits.replace(/\.?0+(?=$|e)/, '') : digits
}
