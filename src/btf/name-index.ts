/**
 * Finding a BTF name without decoding any: strings are hashed as bytes where they lie, records are chained by the
 * offset of their name. A tenth of the time of a map of strings, and none of its garbage.
 */

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193
const FIBONACCI = 0x9e3779b1
/** Slots looked at for one string: among strings that differ it takes a few dozen. */
const MAX_TRIES = 512

/** The strings of a BTF blob by their text. */
export class StringTable {
  readonly #bytes: Uint8Array
  /** offset + 1 of the string in each slot; 0: free */
  readonly #slots: Int32Array

  /**
   * @param bytes  the string section: NUL-terminated strings one after another
   * @param slots  the table an earlier one of the same bytes gave
   */
  constructor(bytes: Uint8Array, slots?: Int32Array) {
    this.#bytes = bytes
    this.#slots = slots !== undefined && isPowerOfTwo(slots.length) ? slots : StringTable.#hash(bytes)
  }

  /** What to make an equal table from. */
  get slots(): Int32Array {
    return this.#slots
  }

  static #hash(bytes: Uint8Array): Int32Array {
    let count = 0
    for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, at + 1)) count++
    const slots = new Int32Array(tableSize(count))
    const mask = slots.length - 1
    let hash = FNV_BASIS
    let start = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte !== 0) {
        hash = Math.imul(hash ^ byte, FNV_PRIME)
        continue
      }
      if (at > start) put(slots, spread(hash) & mask, start)
      start = at + 1
      hash = FNV_BASIS
    }
    return slots
  }

  /** Offsets of all strings with that text: usually one, as BTF keeps a string once. */
  offsetsOf(text: string): number[] {
    let hash = FNV_BASIS
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
    const mask = this.#slots.length - 1
    const found: number[] = []
    let slot = spread(hash) & mask
    for (let tries = 0; this.#slots[slot] !== 0 && tries < MAX_TRIES; tries++, slot = (slot + 1) & mask) {
      const offset = (this.#slots[slot] as number) - 1
      if (this.#isAt(offset, text)) found.push(offset)
    }
    return found
  }

  #isAt(offset: number, text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[offset + i] !== text.charCodeAt(i)) return false
    }
    return this.#bytes[offset + text.length] === 0
  }
}

/** The tables of {@link NameChains}, to be kept in a file. */
export interface ChainTables {
  readonly keys: Int32Array
  readonly heads: Int32Array
  readonly next: Int32Array
}

/** Record numbers by name offset, in ascending order. */
export class NameChains {
  /** name offset in each slot, and the first record of that name + 1 (0: free slot) */
  readonly #keys: Int32Array
  readonly #heads: Int32Array
  /** the next record of the same name + 1; 0 at the end */
  readonly #next: Int32Array

  private constructor(tables: ChainTables) {
    this.#keys = tables.keys
    this.#heads = tables.heads
    this.#next = tables.next
  }

  /** Of tables an earlier one gave; undefined when they cannot be such. */
  static from(tables: ChainTables, records: number): NameChains | undefined {
    const { keys, heads, next } = tables
    const fits = isPowerOfTwo(keys.length) && heads.length === keys.length && next.length === records
    return fits ? new NameChains(tables) : undefined
  }

  /** What to make equal chains from. */
  get tables(): ChainTables {
    return { keys: this.#keys, heads: this.#heads, next: this.#next }
  }

  /** @param names  the name offset of each record; 0: it has none */
  static of(names: Uint32Array): NameChains {
    const size = tableSize(names.length)
    const chains = new NameChains({
      keys: new Int32Array(size),
      heads: new Int32Array(size),
      next: new Int32Array(names.length),
    })
    chains.#fill(names)
    return chains
  }

  #fill(names: Uint32Array): void {
    for (let record = names.length - 1; record >= 0; record--) {
      const offset = names[record] as number
      if (offset === 0) continue
      const slot = this.#slotOf(offset)
      this.#keys[slot] = offset
      this.#next[record] = this.#heads[slot] as number
      this.#heads[slot] = record + 1
    }
  }

  *recordsOf(offset: number): Generator<number> {
    let link = this.#heads[this.#slotOf(offset)] as number
    // Chains from a file may lead anywhere: each record is met once, in ascending order.
    for (
      let before = 0;
      link > before && link <= this.#next.length;
      link = this.#next[before - 1] as number
    ) {
      yield link - 1
      before = link
    }
  }

  /** The slot that holds this offset, or the free one where it would go. */
  #slotOf(offset: number): number {
    const mask = this.#keys.length - 1
    let slot = spread(Math.imul(offset, FIBONACCI)) & mask
    for (let tries = 0; tries <= mask; tries++, slot = (slot + 1) & mask)
      if (this.#heads[slot] === 0 || this.#keys[slot] === (offset | 0)) break
    return slot
  }
}

/** Into the first free slot. A string found in damaged bytes hundreds of times is kept so often and no more. */
function put(slots: Int32Array, from: number, offset: number): void {
  const mask = slots.length - 1
  for (let tries = 0, slot = from; tries < MAX_TRIES; tries++, slot = (slot + 1) & mask) {
    if (slots[slot] !== 0) continue
    slots[slot] = offset + 1
    return
  }
}

/** A power of two at least twice the count: a free slot ends every search. */
function tableSize(count: number): number {
  return 2 ** Math.ceil(Math.log2(2 * count + 2))
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0
}

/** The upper half of a hash into the lower. */
function spread(hash: number): number {
  return (hash ^ (hash >>> 15)) >>> 0
}
