/** Finds the kernel's BTF: in its own memory (or what was kept of it), else in the namelist given by the user. */

import type { Va } from '../base/addr.ts'
import { DumpError, FaultError } from '../base/errors.ts'
import { Btf } from '../btf/parse.ts'
import { Types } from '../btf/types.ts'
import { parseNotes } from '../vmcore/notes.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'
import type { IndexCache } from './index-cache.ts'
import type { KernelIndex } from './index-file.ts'
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
 * @param kept what was found in this kernel before; believed where samples of memory agree
 * @throws DumpError BAD_FORMAT when the kernel has no BTF, or it is damaged
 * @throws FaultError when its pages are not in the dump
 */
export function findTypes(
  path: string,
  mem: VirtualMemory,
  symbols: SymbolTable,
  namelist?: Namelist,
  kept?: KeptIndex,
): Types {
  const pointerSize = mem.wordSize
  const name = `${path}: BTF`
  try {
    const place = placeOfBtf(path, mem, symbols)
    const index = kept?.load(symbols, mem)
    if (index !== undefined && kept !== undefined) {
      if (agrees(mem, place, index.btf))
        return new Types(Btf.parse(index.btf, { pointerSize, name, index: index.names }))
      kept.refuse()
    }
    const btf = Btf.parse(mem.read(place.start, place.size), { pointerSize, name })
    kept?.found(btf)
    return new Types(btf)
  } catch (error) {
    if (!(error instanceof FaultError || error instanceof DumpError)) throw error
    const given = namelist?.btf()
    if (given === undefined) throw error
    return new Types(Btf.parse(given, { pointerSize, name: 'BTF of the namelist' }))
  }
}

function placeOfBtf(path: string, mem: VirtualMemory, symbols: SymbolTable): Place {
  const place = bySymbol(symbols) ?? byHeader(mem, symbols)
  if (place === undefined)
    throw new DumpError('BAD_FORMAT', path, -1, 'this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)')
  return place
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

/** Places of the BTF that are compared before kept bytes are believed, and how many bytes there. */
const SAMPLES = 12
const SAMPLE_SIZE = 256

/** Are these the bytes that lie there, as far as samples tell? @throws FaultError when they are not in the dump */
function agrees(mem: VirtualMemory, { start, size }: Place, bytes: Uint8Array): boolean {
  if (bytes.length !== size || size < SAMPLE_SIZE) return false
  for (let i = 0; i < SAMPLES; i++) {
    const at = Math.floor(((size - SAMPLE_SIZE) * i) / (SAMPLES - 1))
    if (
      at < 0 ||
      Buffer.compare(mem.read(start + at, SAMPLE_SIZE), bytes.subarray(at, at + SAMPLE_SIZE)) !== 0
    )
      return false
  }
  return true
}

/** What the cache has of this target's kernel, and what it may be given. */
export class KeptIndex {
  readonly #cache: IndexCache
  readonly #info: Vmcoreinfo
  #buildId: string | undefined
  #wordSize: 4 | 8 = 8
  #fresh: Btf | undefined

  constructor(cache: IndexCache, info: Vmcoreinfo) {
    this.#cache = cache
    this.#info = info
  }

  load(symbols: SymbolTable, mem: VirtualMemory): KernelIndex | undefined {
    this.#wordSize = mem.wordSize
    this.#buildId = this.#info.get('BUILD-ID') ?? buildIdOf(symbols, mem)
    return this.#buildId === undefined ? undefined : this.#cache.load(this.#buildId, this.#wordSize)
  }

  refuse(): void {
    if (this.#buildId !== undefined) this.#cache.forget(this.#buildId, this.#wordSize)
  }

  found(btf: Btf): void {
    this.#fresh = btf
  }

  /** Keep what was found and was not yet there. */
  store(): void {
    const btf = this.#fresh
    const buildId = this.#buildId
    this.#fresh = undefined
    if (btf === undefined || buildId === undefined) return
    this.#cache.store({ buildId, pointerSize: this.#wordSize, btf: btf.bytes, names: btf.index() })
  }
}

const NT_GNU_BUILD_ID = 3
const MAX_NOTES = 1 << 16

/** The build id among the image's own notes, for kernels whose VMCOREINFO has none (before 5.9). */
function buildIdOf(symbols: SymbolTable, mem: VirtualMemory): string | undefined {
  const start = symbols.findKernel('__start_notes')?.va
  const stop = symbols.findKernel('__stop_notes')?.va
  if (start === undefined || stop === undefined || !(stop > start && stop - start <= MAX_NOTES))
    return undefined
  try {
    const notes = parseNotes(mem.read(start, stop - start))
    const note = notes.find((n) => n.name === 'GNU' && n.type === NT_GNU_BUILD_ID)
    return note && Buffer.from(note.desc).toString('hex')
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}
