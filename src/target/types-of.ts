/** Finds the kernel's BTF: in its own memory, else in the namelist given by the user. */

import type { Va } from '../base/addr.ts'
import { DumpError, FaultError } from '../base/errors.ts'
import { Btf } from '../btf/parse.ts'
import { Types } from '../btf/types.ts'
import type { SymbolTable } from '../symbols/table.ts'
import type { Namelist } from './namelist.ts'
import type { VirtualMemory } from './virtual-memory.ts'

/** No kernel's BTF is larger. */
const MAX_BTF = 64 << 20
/** Magic 0xeb9f, version 1, no flags, header of 24 bytes. */
const HEADER = Buffer.from([0x9f, 0xeb, 0x01, 0x00, 0x18, 0x00, 0x00, 0x00])
const PAGE = 4096

/**
 * @param namelist used only where memory has no BTF that can be read
 * @throws DumpError BAD_FORMAT when the kernel has no BTF, or it is damaged
 * @throws FaultError when its pages are not in the dump
 */
export function findTypes(
  path: string,
  mem: VirtualMemory,
  symbols: SymbolTable,
  namelist?: Namelist,
): Types {
  const pointerSize = mem.wordSize
  try {
    return new Types(Btf.parse(fromMemory(path, mem, symbols), { pointerSize, name: `${path}: BTF` }))
  } catch (error) {
    if (!(error instanceof FaultError || error instanceof DumpError)) throw error
    const given = namelist?.btf()
    if (given === undefined) throw error
    return new Types(Btf.parse(given, { pointerSize, name: 'BTF of the namelist' }))
  }
}

function fromMemory(path: string, mem: VirtualMemory, symbols: SymbolTable): Uint8Array {
  const place = bySymbol(symbols) ?? byHeader(mem, symbols)
  if (place === undefined)
    throw new DumpError('BAD_FORMAT', path, -1, 'this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)')
  return mem.read(place.start, place.size)
}

interface Place {
  readonly start: Va
  readonly size: number
}

function bySymbol(symbols: SymbolTable): Place | undefined {
  const start = symbols.findKernel('__start_BTF')?.va
  const stop = symbols.findKernel('__stop_BTF')?.va
  if (start === undefined || stop === undefined) return undefined
  const size = stop - start
  return size > 24 && size <= MAX_BTF ? { start, size } : undefined
}

/** Without symbols for it (no CONFIG_KALLSYMS_ALL): look for its header in the read-only data. */
function byHeader(mem: VirtualMemory, symbols: SymbolTable): Place | undefined {
  const from = symbols.findKernel('__start_rodata')?.va ?? symbols.findKernel('_etext')?.va
  const to = symbols.findKernel('__end_rodata')?.va ?? symbols.findKernel('_end')?.va
  if (from === undefined || to === undefined) return undefined
  for (let base = Math.floor(from / PAGE) * PAGE; base < Math.min(to, from + 2 ** 28); base += PAGE) {
    const page = mem.pageOf(base)
    if (typeof page === 'string') continue
    const found = Buffer.from(page.buffer, page.byteOffset, page.length).indexOf(HEADER)
    if (found < 0 || found > PAGE - 24) continue
    const at = base + found
    const size = 24 + mem.u32(at + 16) + mem.u32(at + 20)
    if (size > 4096 && size <= MAX_BTF) return { start: at, size }
  }
  return undefined
}
