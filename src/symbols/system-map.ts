/** Symbols from a System.map (or /proc/kallsyms) text: for kernels whose own tables cannot be found. */

import { toVa, type Va } from '../base/addr.ts'
import { DumpError } from '../base/errors.ts'
import type { SymbolSource } from './symbol.ts'

interface Line {
  readonly name: string
  readonly type: string
  readonly va: Va
}

const LINE = /^([0-9a-f]{8}|[0-9a-f]{16}) ([A-Za-z?]) (\S+)$/

export class SystemMap implements SymbolSource {
  readonly #lines: readonly Line[]
  readonly #wordSize: 4 | 8
  #byName: Map<string, number[]> | undefined

  /**
   * @param offset what KASLR adds to every address of the image
   * @throws DumpError BAD_FORMAT when a line is not `ADDRESS TYPE NAME`
   */
  constructor(path: string, text: string, wordSize: 4 | 8, offset = 0) {
    this.#wordSize = wordSize
    const lines: Line[] = []
    let at = 0
    for (const line of text.split('\n')) {
      const match = LINE.exec(line)
      if (match) {
        const va = toVa(BigInt(`0x${match[1] ?? ''}`), wordSize)
        const moved = wordSize === 8 && va >= 0 ? va : va + offset
        lines.push({ name: match[3] ?? '', type: match[2] ?? '?', va: moved })
      } else if (line !== '' && !line.endsWith(']')) {
        throw new DumpError('BAD_FORMAT', path, at, 'not a System.map: a line is not ADDRESS TYPE NAME')
      }
      at += line.length + 1
    }
    this.#lines = lines.sort((a, b) => order(a.va) - order(b.va))
  }

  get count(): number {
    return this.#lines.length
  }

  va(index: number): Va {
    return this.#line(index).va
  }

  name(index: number): string {
    return this.#line(index).name
  }

  type(index: number): string {
    return this.#line(index).type
  }

  absolute(index: number): boolean {
    return this.#wordSize === 8 && this.#line(index).va >= 0
  }

  find(name: string): number[] {
    if (this.#byName === undefined) {
      this.#byName = new Map()
      for (const { index, name: each } of this.entries()) {
        const same = this.#byName.get(each)
        if (same) same.push(index)
        else this.#byName.set(each, [index])
      }
    }
    return this.#byName.get(name) ?? []
  }

  below(va: Va): number {
    let low = 0
    let high = this.#lines.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (order(this.#line(middle).va) <= order(va)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  *entries(): Generator<{ index: number; type: string; name: string; va: Va }> {
    for (let index = 0; index < this.#lines.length; index++) yield { index, ...this.#line(index) }
  }

  #line(index: number): Line {
    return this.#lines[index] as Line
  }
}

/** The kernel's (negative) half after the user half. */
function order(va: Va): number {
  return va < 0 ? va + 2 ** 52 : va
}
