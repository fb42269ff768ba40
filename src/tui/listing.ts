/** A list that is read as far as it is looked at: an index grows by steps, rows are read when drawn. */

import { isDamage } from '../crash/fault-mark.ts'
import { CoredrillError } from '../base/errors.ts'

/**
 * Entries in order. Its source yields `undefined` where it worked without finding one, so that long searches can be
 * done in slices.
 */
export class Listing<E> {
  readonly #source: Iterator<E | undefined>
  readonly #entries: E[] = []
  #done = false
  #problem: string | undefined

  constructor(source: Iterable<E | undefined>) {
    this.#source = source[Symbol.iterator]()
  }

  /** Entries found so far. */
  get known(): number {
    return this.#entries.length
  }

  /** Nothing more will be found. */
  get done(): boolean {
    return this.#done
  }

  /** Why it ended early. */
  get problem(): string | undefined {
    return this.#problem
  }

  /**
   * Find entries until `count` are known.
   *
   * @param steps  how much of the source may be looked at now
   * @returns false when there is more to do
   */
  ensure(count: number, steps = Infinity): boolean {
    for (let left = steps; !this.#done && this.#entries.length < count; left--) {
      if (left <= 0) return false
      this.#step()
    }
    return true
  }

  at(index: number): E | undefined {
    return this.#entries[index]
  }

  /** Position of the first entry that fits, looking as far as needed; -1 when there is none. */
  findIndex(fits: (entry: E) => boolean): number {
    for (let i = 0; ; i++) {
      this.ensure(i + 1)
      const entry = this.#entries[i]
      if (entry === undefined) return -1
      if (fits(entry)) return i
    }
  }

  /** The entries that fit, as a list of its own over this one. */
  filtered(fits: (entry: E) => boolean): Listing<E> {
    return new Listing(this.#matching(fits))
  }

  *#matching(fits: (entry: E) => boolean): Generator<E | undefined> {
    for (let i = 0; ; i++) {
      while (!this.ensure(i + 1, 1)) yield undefined
      const entry = this.#entries[i]
      if (entry === undefined) return
      yield fits(entry) ? entry : undefined
    }
  }

  #step(): void {
    try {
      const next = this.#source.next()
      if (next.done === true) this.#done = true
      else if (next.value !== undefined) this.#entries.push(next.value)
    } catch (error) {
      if (!isDamage(error) && !(error instanceof CoredrillError)) throw error
      this.#done = true
      this.#problem = error.message
    }
  }
}
