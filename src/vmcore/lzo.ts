/**
 * The LZO1X block format: what makedumpfile's `-l` writes. Only reading: coredrill never writes LZO.
 *
 * @see Documentation/staging/lzo.rst (the format of the stream)
 */

/** A block that is damaged; the caller knows where it came from. */
export class LzoError extends Error {}

/** What the last instruction left: 0 after a match alone, 1 to 3 after its literals, 4 after a long literal run. */
const LONG_RUN = 4

/** The distance of a far match that means the end. */
const END = 16384

/**
 * Decompress a block that must give exactly `size` bytes and end where the input ends.
 * @throws LzoError when it does not
 */
export function lzoDecompress(input: Uint8Array, size: number): Uint8Array {
  return new Reader(input, size).run()
}

class Reader {
  readonly #in: Uint8Array
  readonly #out: Uint8Array
  #at = 0
  #o = 0
  #state = 0

  constructor(input: Uint8Array, size: number) {
    this.#in = input
    this.#out = new Uint8Array(size)
  }

  run(): Uint8Array {
    if ((this.#in[0] ?? 0) > 17) this.#literals(this.#byte() - 17)
    while (this.#instruction()) continue
    if (this.#o !== this.#out.length) throw new LzoError(`ends after ${this.#o} of ${this.#out.length} bytes`)
    if (this.#at !== this.#in.length) throw new LzoError(`${this.#in.length - this.#at} bytes after its end`)
    return this.#out
  }

  /** One instruction with the literals after it; false at the end of the stream. Each reads a byte at least. */
  #instruction(): boolean {
    const t = this.#byte()
    if (t >= 64) {
      const distance = (this.#byte() << 3) + ((t >> 2) & 7) + 1
      this.#match(distance, (t >> 5) + 1, t & 3)
    } else if (t >= 16) {
      const isFar = t < 32
      const mask = isFar ? 7 : 31
      const length = 2 + (t & mask || mask + this.#long())
      const word = this.#byte() | (this.#byte() << 8)
      const distance = (word >> 2) + (isFar ? END + ((t & 8) << 11) : 1)
      if (isFar && distance === END) {
        if (length !== 3) throw new LzoError('bad end mark')
        return false
      }
      this.#match(distance, length, word & 3)
    } else if (this.#state === 0) {
      this.#literals(3 + (t || 15 + this.#long()))
    } else {
      const isThree = this.#state === LONG_RUN
      const distance = (this.#byte() << 2) + (t >> 2) + (isThree ? 2049 : 1)
      this.#match(distance, isThree ? 3 : 2, t & 3)
    }
    return true
  }

  #byte(): number {
    const byte = this.#in[this.#at++]
    if (byte === undefined) throw new LzoError('ends within an instruction')
    return byte
  }

  /** A length too long for its instruction: 255 for each zero byte, and the byte that is not zero. */
  #long(): number {
    let length = 0
    let byte = this.#byte()
    for (; byte === 0; byte = this.#byte()) length += 255
    return length + byte
  }

  #literals(count: number): void {
    if (this.#at + count > this.#in.length || this.#o + count > this.#out.length)
      throw new LzoError('literals run over')
    this.#out.set(this.#in.subarray(this.#at, this.#at + count), this.#o)
    this.#at += count
    this.#o += count
    this.#state = Math.min(count, LONG_RUN)
  }

  #match(distance: number, length: number, literals: number): void {
    const out = this.#out
    const from = this.#o - distance
    if (from < 0 || this.#o + length > out.length) throw new LzoError('copy out of range')
    if (distance >= length) out.copyWithin(this.#o, from, from + length)
    else for (let i = 0; i < length; i++) out[this.#o + i] = out[from + i] as number
    this.#o += length
    this.#literals(literals)
  }
}
