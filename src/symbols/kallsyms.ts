/**
 * The kernel's own symbol table, decoded where it lies in memory: one name or one address costs a few pages, not
 * the whole table.
 */

import { toAddr, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import type { SymbolSource } from './symbol.ts'

/** Where the tables are, as VMCOREINFO's `SYMBOL(kallsyms_*)` says. */
export interface KallsymsTables {
  readonly names: Va
  readonly numSyms: Va
  readonly tokenTable: Va
  readonly tokenIndex: Va
  readonly offsets?: Va | undefined
  readonly relativeBase?: Va | undefined
  /** kernels without relative addresses: `unsigned long kallsyms_addresses[]` */
  readonly addresses?: Va | undefined
}

/** How an offset becomes an address; see {@link Kallsyms}. */
export type AddressForm = 'percpu' | 'relative' | 'place' | 'absolute'

/** More symbols than any kernel has; a larger count is damage. */
const MAX_SYMBOLS = 1 << 22
const MAX_NAME = 1024
const MARKER_EVERY = 256

/**
 * @remarks Four forms of addresses are known: `percpu` (KALLSYMS_ABSOLUTE_PERCPU: non-negative offsets are
 * absolute, negative ones count from the relative base), `relative` (unsigned offsets from it), `place` (offsets
 * from their own position), `absolute` (a table of addresses). The one that puts `_stext` where VMCOREINFO says
 * is taken.
 * @see kernel/kallsyms.c:kallsyms_sym_address, kallsyms_expand_symbol
 */
export class Kallsyms implements SymbolSource {
  readonly count: number
  readonly form: AddressForm
  readonly #mem: Memory
  readonly #tables: KallsymsTables
  readonly #relativeBase: Va
  readonly #tokens: readonly string[]
  readonly #markers: { at(block: number): number }
  /** the sequence numbers in order of names; undefined where the kernel has none we can find */
  readonly #seqs: Va | undefined
  #byName: Map<string, number[]> | undefined
  #last = { index: -1, text: '' }

  /**
   * @param stext the run-time address of `_stext`, to tell the forms apart
   * @throws ValidationError when the tables contradict themselves, FaultError when they cannot be read
   */
  constructor(mem: Memory, tables: KallsymsTables, stext: Va | undefined) {
    this.#mem = mem
    this.#tables = tables
    this.count = mem.u32(tables.numSyms)
    if (this.count === 0 || this.count > MAX_SYMBOLS)
      throw new ValidationError(toAddr(tables.numSyms), 'a number of symbols', String(this.count))
    this.#relativeBase = tables.relativeBase === undefined ? 0 : mem.pointer(tables.relativeBase)
    this.#tokens = readTokens(mem, tables)
    this.#markers = this.#findMarkers()
    this.form = this.#chooseForm(stext)
    this.#seqs = this.#findSeqs()
  }

  /** Address of the symbol with this index. Indexes are in order of addresses. */
  va(index: number): Va {
    return this.#vaIn(this.form, index)
  }

  /** Is this a per-CPU offset or an absolute number rather than an address of the image? */
  absolute(index: number): boolean {
    return this.form === 'percpu' && (this.#offset(index) | 0) >= 0
  }

  name(index: number): string {
    return this.#text(index).slice(1)
  }

  /** nm's letter. */
  type(index: number): string {
    return this.#text(index).slice(0, 1)
  }

  /** The indexes of all symbols of that name, ascending. */
  find(name: string): number[] {
    if (this.#seqs === undefined) return this.#names().get(name) ?? []
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.name(this.#seq(middle)) < name) low = middle + 1
      else high = middle
    }
    const found: number[] = []
    for (; low < this.count; low++) {
      const index = this.#seq(low)
      if (this.name(index) !== name) break
      found.push(index)
    }
    return found.sort((a, b) => a - b)
  }

  /** The last index whose address is not above `va`; -1 when all are. */
  below(va: Va): number {
    return this.#belowIn(this.form, va)
  }

  /** All symbols, in order of addresses, with one pass over the names. */
  *entries(): Generator<{ index: number; type: string; name: string; va: Va }> {
    let at = this.#tables.names
    for (let index = 0; index < this.count; index++) {
      const [text, next] = this.#expand(at)
      at = next
      yield { index, type: text.slice(0, 1), name: text.slice(1), va: this.va(index) }
    }
  }

  #names(): Map<string, number[]> {
    if (this.#byName !== undefined) return this.#byName
    const names = new Map<string, number[]>()
    for (const { index, name } of this.entries()) {
      const same = names.get(name)
      if (same) same.push(index)
      else names.set(name, [index])
    }
    return (this.#byName = names)
  }

  #offset(index: number): number {
    return this.#mem.u32((this.#tables.offsets as Va) + index * 4)
  }

  #vaIn(form: AddressForm, index: number): Va {
    if (form === 'absolute')
      return this.#mem.pointer((this.#tables.addresses as Va) + index * this.#mem.wordSize)
    const offset = this.#offset(index)
    const signed = offset | 0
    switch (form) {
      case 'percpu':
        return signed >= 0 ? signed : this.#relativeBase - 1 - signed
      case 'relative':
        return this.#relativeBase + offset
      case 'place':
        return (this.#tables.offsets as Va) + index * 4 + signed
    }
  }

  #belowIn(form: AddressForm, va: Va): number {
    let low = 0
    let high = this.count
    const wanted = unsigned(va)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (unsigned(this.#vaIn(form, middle)) <= wanted) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #chooseForm(stext: Va | undefined): AddressForm {
    if (this.#tables.offsets === undefined) return 'absolute'
    const possible: AddressForm[] =
      this.#tables.relativeBase === undefined ? ['place'] : this.#mem.wordSize === 8 ? ['percpu', 'relative'] : ['relative', 'percpu'] // prettier-ignore
    if (stext === undefined) return possible[0] as AddressForm
    for (const form of possible) {
      // Several symbols may share the address of _stext.
      let index = this.#belowIn(form, stext)
      for (let tries = 0; tries < 8 && index >= 0 && this.#vaIn(form, index) === stext; tries++, index--)
        if (this.name(index) === '_stext' || this.name(index) === '_text') return form
    }
    throw new ValidationError(toAddr(this.#tables.offsets), 'kallsyms offsets that give _stext', 'others')
  }

  #seq(at: number): number {
    const va = (this.#seqs as Va) + at * 3
    return (this.#mem.u8(va) << 16) | (this.#mem.u8(va + 1) << 8) | this.#mem.u8(va + 2)
  }

  /** `kallsyms_seqs_of_names` lies right before the tokens; believed when a sample of it is in order. */
  #findSeqs(): Va | undefined {
    const candidate = this.#tables.tokenTable - alignUp(this.count * 3, this.#mem.wordSize)
    if (candidate < this.#tables.names) return undefined
    let previous = ''
    const seen = new Set<number>()
    const samples = Math.min(16, this.count - 1)
    for (let i = 0; i <= samples; i++) {
      const at = candidate + Math.floor(((this.count - 1) * i) / Math.max(samples, 1)) * 3
      const seq = (this.#mem.u8(at) << 16) | (this.#mem.u8(at + 1) << 8) | this.#mem.u8(at + 2)
      // each number stands there once: zeros, say, are no sequence
      if (seq >= this.count || seen.has(seq)) return undefined
      seen.add(seq)
      const name = this.name(seq)
      if (name < previous) return undefined
      previous = name
    }
    return candidate
  }

  /** `kallsyms_markers` lies before the sequence numbers, or right before the tokens; else we make our own. */
  #findMarkers(): { at(block: number): number } {
    const { names, tokenTable } = this.#tables
    const mem = this.#mem
    const size = alignUp(Math.ceil(this.count / MARKER_EVERY) * 4, mem.wordSize)
    const room = Math.min(this.count, MARKER_EVERY)
    const second = this.count > MARKER_EVERY ? this.#skip(names, room) - names : undefined
    for (const after of [tokenTable - alignUp(this.count * 3, mem.wordSize), tokenTable]) {
      const markers = after - size
      if (markers <= names || second === undefined) continue
      if (mem.u32(markers) === 0 && mem.u32(markers + 4) === second && this.#plausible(markers))
        return { at: (block) => mem.u32(markers + block * 4) }
    }
    const own: number[] = []
    let at = names
    for (let block = 0; block * MARKER_EVERY < this.count; block++) {
      own.push(at - names)
      at = this.#skip(at, Math.min(MARKER_EVERY, this.count - block * MARKER_EVERY))
    }
    return { at: (block) => own[block] ?? 0 }
  }

  #plausible(markers: Va): boolean {
    let previous = -1
    for (let block = 0; block < Math.ceil(this.count / MARKER_EVERY); block++) {
      const offset = this.#mem.u32(markers + block * 4)
      if (offset <= previous || this.#tables.names + offset >= markers) return false
      previous = offset
    }
    return true
  }

  /** Position of the name `count` names further on. */
  #skip(at: Va, count: number): Va {
    const mem = this.#mem
    for (let i = 0; i < count; i++) {
      const length = mem.u8(at)
      at += length < 0x80 ? 1 + length : 2 + ((length & 0x7f) | (mem.u8(at + 1) << 7))
    }
    return at
  }

  #text(index: number): string {
    // Name and type of one symbol are asked for one after the other.
    if (index === this.#last.index) return this.#last.text
    const block = Math.floor(index / MARKER_EVERY)
    const at = this.#skip(this.#tables.names + this.#markers.at(block), index % MARKER_EVERY)
    this.#last = { index, text: this.#expand(at)[0] }
    return this.#last.text
  }

  /** The text (type and name) at a position, and the position of the next. */
  #expand(at: Va): [string, Va] {
    const mem = this.#mem
    let length = mem.u8(at)
    let from = at + 1
    if (length & 0x80) {
      length = (length & 0x7f) | (mem.u8(from) << 7)
      from++
    }
    if (length > MAX_NAME) throw new ValidationError(toAddr(at), 'a kallsyms name', `one of ${length} tokens`)
    let text = ''
    for (let i = 0; i < length; i++) text += this.#tokens[mem.u8(from + i)] as string
    return [text, from + length]
  }
}

function readTokens(mem: Memory, tables: KallsymsTables): string[] {
  const tokens: string[] = []
  for (let token = 0; token < 256; token++) {
    let at = tables.tokenTable + mem.u16(tables.tokenIndex + token * 2)
    let text = ''
    for (let char = mem.u8(at); char !== 0 && text.length < MAX_NAME; char = mem.u8(++at))
      text += String.fromCharCode(char)
    tokens.push(text)
  }
  return tokens
}

function alignUp(n: number, to: number): number {
  return Math.ceil(n / to) * to
}

/** Addresses in the order of the table: the kernel's (negative) half after the user half; still exact. */
function unsigned(va: Va): number {
  return va < 0 ? va + 2 ** 52 : va
}
