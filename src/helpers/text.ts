/** Kernel text: what is an address inside a function, which function, and whom a call instruction calls. */

import type { Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { SymbolHit } from '../symbols/symbol.ts'
import type { SymbolTable } from '../symbols/table.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'

/** A kernel whose addresses have names: what a target is. */
export interface SymbolicKernel extends Kernel {
  readonly symbols: SymbolTable
}

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

  lookup(va: Va): SymbolHit | undefined {
    if (!this.#hits.has(va)) this.#hits.set(va, this.kernel.symbols.lookup(va))
    return this.#hits.get(va)
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
