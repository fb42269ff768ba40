/** A module's own symbol table, laid out as its ELF file has it. @see kernel/module/kallsyms.c */

import { toVa, type Va } from '../../../base/addr.ts'
import type { mod_kallsyms } from '../../../btf/vmlinux.ts'
import { ELF_GLOBAL_FUNC, ELF_LOCAL_FUNC, ELF_LOCAL_OBJECT } from '../../../abi/module.ts'
import type { Kernel } from '../../kernel.ts'
import { cString } from '../../lib/vsprintf.ts'

export interface ModuleSymbol {
  readonly name: string
  readonly va: Va
  readonly size: number
  /** nm's letter. */
  readonly type: string
  /** Of the section it is in; not 0. */
  readonly section: number
}

/** Bytes `symtab`, `strtab` and `typetab` of these symbols take together. @see kernel/module/kallsyms.c:layout_symtab */
export function symtabBytes(k: Kernel, symbols: readonly ModuleSymbol[]): number {
  const strings = symbols.reduce((sum, { name }) => sum + name.length + 1, 1)
  const entries = symbols.length + 1
  return entries * symSize(k) + strings + entries
}

const symSize = (k: Kernel): number => (k.mem.wordSize === 8 ? 24 : 16)

/**
 * Store the three tables at `at` and point `table` at them. The first symbol of an ELF table is the null one.
 * @see kernel/module/kallsyms.c:add_kallsyms
 */
export function add_kallsyms(k: Kernel, table: mod_kallsyms, at: Va, symbols: readonly ModuleSymbol[]): void {
  const entries = symbols.length + 1
  const strtab = at + entries * symSize(k)
  let names = '\0'
  symbols.forEach(({ name, va, size, type, section }, i) => {
    const entry = at + (i + 1) * symSize(k)
    const info = /[tT]/.test(type) ? (type === 'T' ? ELF_GLOBAL_FUNC : ELF_LOCAL_FUNC) : ELF_LOCAL_OBJECT
    writeSymbol(k, entry, { st_name: names.length, st_info: info, st_shndx: section, va, size })
    names += `${name}\0`
  })
  const typetab = strtab + names.length
  k.mem.write(strtab, Buffer.from(names, 'latin1'))
  k.mem.write(typetab, Buffer.from(`?${symbols.map(({ type }) => type).join('')}`, 'latin1'))
  k.mem.setPointer(table.$vaOf('symtab'), at)
  table.num_symtab = entries
  k.mem.setPointer(table.$vaOf('strtab'), strtab)
  k.mem.setPointer(table.$vaOf('typetab'), typetab)
}

interface Sym {
  readonly st_name: number
  readonly st_info: number
  readonly st_shndx: number
  readonly va: Va
  readonly size: number
}

/** Elf64_Sym and Elf32_Sym have the same members in another order. @see include/uapi/linux/elf.h */
function writeSymbol(k: Kernel, at: Va, { st_name, st_info, st_shndx, va, size }: Sym): void {
  const wide = k.mem.wordSize === 8
  k.mem.setU32(at, st_name)
  k.mem.setU8(at + (wide ? 4 : 12), st_info)
  k.mem.setU16(at + (wide ? 6 : 14), st_shndx)
  k.mem.setPointer(at + (wide ? 8 : 4), va)
  k.mem.setWord(at + (wide ? 16 : 8), BigInt(size))
}

/** A module symbol's address among those placed. @see kernel/module/kallsyms.c:find_kallsyms_symbol_value */
export function find_kallsyms_symbol_value(k: Kernel, table: mod_kallsyms, name: string): bigint {
  const symtab = toVa(table.$int('symtab'), k.mem.wordSize)
  const strtab = toVa(table.strtab, k.mem.wordSize)
  const wanted = Buffer.from(`${name}\0`, 'latin1')
  for (let i = 1; i < table.num_symtab; i++) {
    const entry = symtab + i * symSize(k)
    const at = strtab + k.mem.u32(entry)
    if (Buffer.from(k.mem.read(at, wanted.length)).equals(wanted))
      return k.mem.word(entry + (k.mem.wordSize === 8 ? 8 : 4))
  }
  return 0n
}

/** The symbols of a module's table in its order, addresses and names out of memory. */
export function* each_kallsyms_symbol(
  k: Kernel,
  table: mod_kallsyms,
): Generator<{ readonly name: string; readonly address: bigint }> {
  const symtab = toVa(table.$int('symtab'), k.mem.wordSize)
  const strtab = toVa(table.strtab, k.mem.wordSize)
  for (let i = 1; i < table.num_symtab; i++) {
    const entry = symtab + i * symSize(k)
    const name = cString(k, strtab + k.mem.u32(entry))
    yield { name, address: k.mem.word(entry + (k.mem.wordSize === 8 ? 8 : 4)) }
  }
}
