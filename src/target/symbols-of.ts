/** Finds the kernel's symbols: its own tables where VMCOREINFO points to them, else the namelist given by the user, else its own tables by their form. */

import { toVa, type Va } from '../base/addr.ts'
import { DumpError, FaultError } from '../base/errors.ts'
import { findKallsyms } from '../symbols/find-kallsyms.ts'
import { Kallsyms } from '../symbols/kallsyms.ts'
import type { SymbolSource } from '../symbols/symbol.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'
import type { Progress } from './find-kernel.ts'
import type { Namelist } from './namelist.ts'
import type { VirtualMemory } from './virtual-memory.ts'

/** No image is larger. */
const IMAGE_MAX = 1 << 29

/**
 * @param namelist used only where the kernel's own tables cannot be found or read
 * @throws DumpError BAD_FORMAT when there is neither
 */
export function findSymbols(
  path: string,
  mem: VirtualMemory,
  info: Vmcoreinfo,
  namelist?: Namelist,
  progress: Progress = () => undefined,
): SymbolSource {
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
    try {
      return new Kallsyms(mem, { ...tables, offsets, relativeBase, addresses }, at('_stext'))
    } catch (error) {
      if (namelist === undefined || !(error instanceof FaultError)) throw error
      return namelist.symbols()
    }
  }
  if (namelist !== undefined) return namelist.symbols()
  const stext = at('_stext')
  progress('looking for kallsyms')
  const found = stext === undefined ? undefined : findKallsyms(mem, stext, stext + IMAGE_MAX, stext)
  progress('')
  if (found !== undefined) return found
  const problem =
    'VMCOREINFO does not say where kallsyms is (kernels before 6.0), and it was not found: give a vmlinux or System.map as namelist'
  throw new DumpError('BAD_FORMAT', path, -1, problem)
}
