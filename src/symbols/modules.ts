/** Loaded modules and their symbols, read through `struct module`. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import type { KernelSymbol } from './symbol.ts'

/** Offsets in `struct module` and `struct mod_kallsyms`; bytes. */
export interface ModuleLayout {
  readonly list: number
  readonly name: number
  readonly nameSize: number
  /** member that points to `struct mod_kallsyms`; undefined without CONFIG_KALLSYMS */
  readonly kallsyms: number | undefined
  readonly symtab: number
  readonly numSymtab: number
  readonly strtab: number
  /** undefined before 5.2: the letter is then st_info */
  readonly typetab: number | undefined
  /** where the module's parts lie: (pointer, unsigned int) pairs; core first */
  readonly areas: readonly { readonly base: number; readonly size: number }[]
}

/** Addresses `start <= va < end` of a module. */
export interface ModuleArea {
  readonly start: Va
  readonly end: Va
}

/** More modules, symbols or list entries than this are damage. */
const MAX_MODULES = 4096
const MAX_SYMBOLS = 1 << 20
const MAX_NAME = 512
/** @see include/uapi/linux/elf.h */
const STB_GLOBAL = 1

/** One `struct module`. */
export class LoadedModule {
  /** of the `struct module` */
  readonly va: Va
  readonly name: string
  readonly areas: readonly ModuleArea[]
  readonly #mem: Memory
  readonly #layout: ModuleLayout
  #symbols: readonly KernelSymbol[] | undefined

  constructor(mem: Memory, layout: ModuleLayout, va: Va) {
    this.va = va
    this.#mem = mem
    this.#layout = layout
    this.name = cString(mem, va + layout.name, layout.nameSize)
    this.areas = layout.areas.flatMap(({ base, size }) => {
      const start = mem.pointer(va + base)
      const length = mem.u32(va + size)
      return start !== 0 && length > 0 && Number.isFinite(start) ? [{ start, end: start + length }] : []
    })
  }

  contains(va: Va): boolean {
    return this.areas.some((area) => va >= area.start && va < area.end)
  }

  /** In order of addresses; what cannot be read is left out. */
  get symbols(): readonly KernelSymbol[] {
    return (this.#symbols ??= this.#readSymbols())
  }

  #readSymbols(): KernelSymbol[] {
    const raw: { name: string; type: string; va: Va; global: boolean }[] = []
    try {
      for (const symbol of this.#elfSymbols()) raw.push(symbol)
    } catch (error) {
      if (!(error instanceof FaultError)) throw error
    }
    raw.sort((a, b) => a.va - b.va)
    const ends = this.#ends(raw)
    return raw.map(({ name, type, va, global }, i) => ({
      name,
      type,
      va,
      global,
      size: (ends[i] as Va) - va,
      module: this.name,
      absolute: !this.contains(va),
    }))
  }

  /** Where each symbol ends: at the next other address, at the latest at the end of its area. */
  #ends(sorted: readonly { readonly va: Va }[]): Va[] {
    const ends = new Array<Va>(sorted.length)
    // backwards: a damaged table may hold one address a million times
    for (let i = sorted.length - 1, following = Infinity; i >= 0; i--) {
      const { va } = sorted[i] as { va: Va }
      const next = sorted[i + 1]
      if (next !== undefined && next.va > va) following = next.va
      const limit = this.areas.find((area) => va >= area.start && va < area.end)?.end ?? va
      ends[i] = Math.min(following, limit)
    }
    return ends
  }

  *#elfSymbols(): Generator<{ name: string; type: string; va: Va; global: boolean }> {
    const mem = this.#mem
    const { kallsyms, symtab, numSymtab, strtab, typetab } = this.#layout
    const table = kallsyms === undefined ? 0 : mem.pointer(this.va + kallsyms)
    if (table === 0) return
    const symbols = mem.pointer(table + symtab)
    const strings = mem.pointer(table + strtab)
    const types = typetab === undefined ? 0 : mem.pointer(table + typetab)
    const count = Math.min(mem.u32(table + numSymtab), MAX_SYMBOLS)
    const wide = mem.wordSize === 8
    for (let i = 0; i < count; i++) {
      const at = symbols + i * (wide ? 24 : 16)
      const info = mem.u8(at + (wide ? 4 : 12))
      const section = mem.u16(at + (wide ? 6 : 14))
      if (section === 0) continue
      const value = toVa(mem.word(at + (wide ? 8 : 4)), mem.wordSize)
      const name = cString(mem, strings + mem.u32(at), MAX_NAME)
      if (name === '' || name.startsWith('$') || !Number.isFinite(value)) continue
      // without a typetab the kernel left the letter in st_info, and its case with it
      const letter = String.fromCharCode(types === 0 ? info : mem.u8(types + i))
      const global = types === 0 ? /[A-Z]/.test(letter) : info >>> 4 === STB_GLOBAL
      yield { name, type: global ? letter.toUpperCase() : letter, va: value, global }
    }
  }
}

/**
 * Walk the list of loaded modules. Ends at the head, at an entry seen before, or where memory cannot be read.
 *
 * @param head address of the kernel's `modules`, a `struct list_head`
 */
export function readModules(mem: Memory, layout: ModuleLayout, head: Va): LoadedModule[] {
  const modules: LoadedModule[] = []
  const seen = new Set<Va>([head])
  try {
    for (let at = mem.pointer(head); !seen.has(at) && modules.length < MAX_MODULES; at = mem.pointer(at)) {
      seen.add(at)
      modules.push(new LoadedModule(mem, layout, at - layout.list))
    }
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
  }
  return modules
}

function cString(mem: Memory, va: Va, limit: number): string {
  let text = ''
  for (let i = 0; i < limit; i++) {
    const char = mem.u8(va + i)
    if (char === 0) break
    text += String.fromCharCode(char)
  }
  return text
}
