/** What a symbol is, and what a table of them must give; addresses ascend with the index. */

import type { Va } from '../base/addr.ts'

/** One symbol of the kernel or of a loaded module (whose letters tell nothing of being exported, as /proc/kallsyms does). */
export interface KernelSymbol {
  readonly name: string
  /** nm's letter */
  readonly type: string
  /** of a per-CPU symbol its offset in each CPU's area */
  readonly va: Va
  /** bytes up to the next symbol at another address; 0 when nothing follows */
  readonly size: number
  /** the module's name; undefined for the kernel itself */
  readonly module?: string
  /** of a module's symbol: seen by other files of the module (ELF's STB_GLOBAL) */
  readonly global?: boolean
  /** a per-CPU offset or an absolute number, no address of the image */
  readonly absolute: boolean
}

/** A symbol that holds an address, and how far into it that is. */
export interface SymbolHit extends KernelSymbol {
  readonly offset: number
}

/** The kernel's symbols wherever they come from: its own tables, or a System.map. */
export interface SymbolSource {
  readonly count: number
  va(index: number): Va
  name(index: number): string
  type(index: number): string
  absolute(index: number): boolean
  /** ascending indexes of that name */
  find(name: string): number[]
  /** the last index whose address is not above `va`; -1 when all are */
  below(va: Va): number
  entries(): Iterable<{ index: number; type: string; name: string; va: Va }>
}

/** `*` and `?` as a shell has them; anchored. */
export function globPattern(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')
  return new RegExp(`^${escaped.replace(/\?/g, '.')}$`)
}
