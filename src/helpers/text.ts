/** Kernel text: what is an address inside a function, which function, and whom a call instruction calls. */

import type { Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { SymbolHit } from '../symbols/symbol.ts'
import type { SymbolTable } from '../symbols/table.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'
import { pushed } from './x86-length.ts'

/** A kernel whose addresses have names: what a target is. */
export interface SymbolicKernel extends Kernel {
  readonly symbols: SymbolTable
}

/** No function is longer; nor any instruction. */
const CODE_MAX = 1 << 17
const LONGEST_INSTRUCTION = 15

interface Range {
  readonly start: Va
  readonly end: Va
}

/** One kernel's text ranges, with a cache of the names found. */
export class KernelText {
  readonly kernel: SymbolicKernel
  readonly #core: readonly Range[]
  readonly #init: Range | undefined
  readonly #hits = new Map<Va, SymbolHit | undefined>()

  constructor(kernel: SymbolicKernel) {
    this.kernel = kernel
    this.#init = rangeOf(kernel, '_sinittext', '_einittext')
    const text = rangeOf(kernel, '_stext', '_etext')
    this.#core = [text, this.#init].filter((r) => r !== undefined)
  }

  /** Is it inside the kernel's or a module's text? @see kernel/extable.c:__kernel_text_address */
  contains(va: Va): boolean {
    if (this.#core.some(({ start, end }) => va >= start && va < end)) return true
    if (!this.kernel.symbols.modules.some((m) => m.contains(va))) return false
    const type = this.lookup(va)?.type.toLowerCase()
    return type === 't' || type === 'w'
  }

  /** Is it text that is freed after boot? */
  isInit(va: Va): boolean {
    return this.#init !== undefined && va >= this.#init.start && va < this.#init.end
  }

  /**
   * The symbol an address lies in. Of several at one address crash takes the first by name for the address itself,
   * the last by name inside; what a compiler made of a function has the function's name.
   */
  lookup(va: Va): SymbolHit | undefined {
    if (!this.#hits.has(va)) this.#hits.set(va, this.#find(va))
    return this.#hits.get(va)
  }

  #find(va: Va): SymbolHit | undefined {
    const hit = this.kernel.symbols.lookup(va)
    if (hit === undefined) return undefined
    const same = hit.module === undefined ? this.kernel.symbols.sameAddress(hit.va) : []
    const names = same.map((s) => s.name).sort()
    const name = (hit.offset === 0 ? names[0] : names[names.length - 1]) ?? hit.name
    return { ...hit, name: name.replace(/\.isra\..*$/, '') }
  }

  name(va: Va): string | undefined {
    return this.lookup(va)?.name
  }

  /**
   * The function that the call before a return address calls.
   *
   * @returns `unknown` when the bytes before it are no code (a simulated kernel has none), undefined for an
   * indirect call
   */
  calledBefore(ret: Va): SymbolHit | 'unknown' | undefined {
    const code = readCode(this.kernel, ret - 5, 5)
    if (code === undefined || code.every((b) => b === 0 || b === 0xcc)) return 'unknown'
    if (code[0] !== 0xe8) return undefined
    const relative = new DataView(code.buffer, code.byteOffset).getInt32(1, true)
    return this.lookup(ret + relative)
  }

  /** Bytes the function has pushed where it is at `text`, as its code says. */
  pushedAt(text: Va, inclusive: boolean): number {
    const hit = this.lookup(text)
    if (hit === undefined || this.kernel.mem.wordSize !== 8 || hit.offset > CODE_MAX) return 0
    const code = readCode(this.kernel, hit.va, hit.offset + LONGEST_INSTRUCTION)
    return code === undefined || code[0] === 0xcc ? 0 : pushed(code, hit.offset, inclusive)
  }

  /** The return address of the direct call to `callee` in `caller`; undefined when there is none. */
  returnFrom(caller: string, callee: string): Va | undefined {
    const { symbols } = this.kernel
    const from = symbols.findKernel(caller)
    const to = symbols.findKernel(callee)
    if (from === undefined || to === undefined) return undefined
    const code = readCode(this.kernel, from.va, Math.min(from.size, 65536))
    if (code === undefined) return undefined
    const view = new DataView(code.buffer, code.byteOffset, code.length)
    for (let at = 0; at + 5 <= code.length; at++) {
      if (code[at] === 0xe8 && from.va + at + 5 + view.getInt32(at + 1, true) === to.va)
        return from.va + at + 5
    }
    return undefined
  }
}

function rangeOf(kernel: Kernel, from: string, to: string): Range | undefined {
  const start = findSymbolVa(kernel, from)
  const end = findSymbolVa(kernel, to)
  return start === undefined || end === undefined || end <= start ? undefined : { start, end }
}

function readCode(kernel: Kernel, va: Va, size: number): Uint8Array | undefined {
  try {
    return kernel.mem.read(va, size)
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}
