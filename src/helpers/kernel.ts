/** What every reader needs of the kernel it reads: memory, types, symbols. A target is one; so is a test's fixture. */

import { toVa, type Addr, type Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { RefOf, Types } from '../btf/types.ts'
import type { Memory } from '../memory/memory.ts'

export interface Kernel {
  /** kernel virtual memory */
  readonly mem: Memory
  readonly types: Types
  /** Address of a symbol. @throws LookupError NO_SYMBOL */
  sym(name: string): Addr
  /** Where asking for a symbol of the kernel itself is cheap, also when it is missing. */
  readonly symbols?: { findKernel(name: string): { readonly va: Va } | undefined }
}

/** Address of a symbol. @throws LookupError NO_SYMBOL */
export function symbolVa(kernel: Kernel, name: string): Va {
  return toVa(kernel.sym(name), kernel.mem.wordSize)
}

/** Address of a symbol this kernel may not have. A target looks at the kernel's own symbols only, not at modules'. */
export function findSymbolVa(kernel: Kernel, name: string): Va | undefined {
  if (kernel.symbols !== undefined) return kernel.symbols.findKernel(name)?.va
  try {
    return symbolVa(kernel, name)
  } catch (error) {
    if (error instanceof LookupError) return undefined
    throw error
  }
}

/** A typed reference to kernel memory. */
export function refAt<N extends string>(kernel: Kernel, struct: N, va: Va): RefOf<N> {
  return kernel.types.ref(struct, kernel.mem, va)
}

/** The struct a global variable is. @throws LookupError NO_SYMBOL */
export function globalRef<N extends string>(kernel: Kernel, symbol: string, struct: N): RefOf<N> {
  return refAt(kernel, struct, symbolVa(kernel, symbol))
}

/** A NUL-terminated string of at most `limit` bytes, bytes as Latin-1; cut at `limit`, not read beyond its NUL's chunk. */
export function readString(mem: Memory, va: Va, limit = 4096): string {
  let text = ''
  for (let at = va; at < va + limit;) {
    const count = Math.min(256 - (((at % 256) + 256) % 256), va + limit - at)
    const bytes = mem.read(at, count)
    const end = bytes.indexOf(0)
    text += Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
    if (end >= 0) break
    at += count
  }
  return text
}

/** A member that is a pointer to characters: its string, or undefined when it is NULL or cannot be a pointer. */
export function readStringAt(ref: StructRef, member: string, limit?: number): string | undefined {
  const va = toVa(ref.$int(member), ref.$mem.wordSize)
  return va === 0 || Number.isNaN(va) ? undefined : readString(ref.$mem, va, limit)
}
