/** Finds the kernel's symbols: its own tables where VMCOREINFO points to them, else a System.map given by the user. */

import { readFileSync } from 'node:fs'
import { toVa, type Va } from '../base/addr.ts'
import { DumpError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import { Kallsyms } from '../symbols/kallsyms.ts'
import type { SymbolSource } from '../symbols/symbol.ts'
import { SystemMap } from '../symbols/system-map.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'

/**
 * @param namelist path of a System.map, used only where the kernel's own tables cannot be found
 * @throws DumpError BAD_FORMAT when there is neither
 */
export function findSymbols(path: string, mem: Memory, info: Vmcoreinfo, namelist?: string): SymbolSource {
  const at = (name: string): Va | undefined => {
    const symbol = info.symbol(name)
    return symbol === undefined ? undefined : toVa(symbol, mem.wordSize)
  }
  const names = at('kallsyms_names')
  const numSyms = at('kallsyms_num_syms')
  const tokenTable = at('kallsyms_token_table')
  const tokenIndex = at('kallsyms_token_index')
  if (names !== undefined && numSyms !== undefined && tokenTable !== undefined && tokenIndex !== undefined) {
    const tables = { names, numSyms, tokenTable, tokenIndex }
    const [offsets, relativeBase] = [at('kallsyms_offsets'), at('kallsyms_relative_base')]
    const addresses = at('kallsyms_addresses')
    return new Kallsyms(mem, { ...tables, offsets, relativeBase, addresses }, at('_stext'))
  }
  if (namelist === undefined) {
    const problem =
      'VMCOREINFO does not say where kallsyms is (kernels before 6.0): give a System.map as namelist'
    throw new DumpError('BAD_FORMAT', path, -1, problem)
  }
  return new SystemMap(namelist, readText(namelist), mem.wordSize, Number(info.kernelOffset))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new DumpError('UNREADABLE', path, -1, code === 'ENOENT' ? 'no such file' : code)
  }
}
