/** Memory sections (SPARSEMEM) and the memory blocks they are hotplugged by. */

import { toVa, type Addr, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each } from '../structures/list.ts'
import { dev_name } from './device.ts'
import { findSymbolVa, refAt, type Kernel } from './kernel.ts'
import { PAGE_SIZE } from './page.ts'

/** A kernel that says how its physical memory is divided. */
export interface SectionedKernel extends Kernel {
  readonly vmcoreinfo: { number(name: string): number | undefined; symbol(name: string): Addr | undefined }
  /** what the dump has; no section lies behind it */
  readonly container: { readonly ranges: readonly { readonly endPfn: number }[] }
}

/** @see include/linux/mmzone.h:SECTION_MARKED_PRESENT */
export const SECTION_FLAGS = { P: 1, M: 2, O: 4, E: 8, D: 16 } as const
/** Flags are in the bits below. @see include/linux/mmzone.h:SECTION_MAP_MASK */
const FLAG_BITS = 6
const BLOCKS_MAX = 1_000_000
const MEMORY_STATES: Readonly<Record<number, string>> = {
  1: 'ONLINE',
  2: 'GOING_OFFLINE',
  4: 'OFFLINE',
  8: 'GOING_ONLINE',
  16: 'CANCEL_ONLINE',
  32: 'CANCEL_OFFLINE',
}

/** One section that is present. */
export interface SectionRow {
  readonly nr: number
  /** `struct mem_section *` */
  readonly section: bigint
  /** `section_mem_map` without its flags: where page frame 0 would be */
  readonly coded_mem_map: bigint
  /** `struct page *` of its first frame */
  readonly mem_map: bigint
  /** letters of {@link SECTION_FLAGS} */
  readonly state: string
  readonly pfn: number
}

/** Bits of an address within a section. @see arch/x86/include/asm/sparsemem.h */
export const section_size_bits = (kernel: SectionedKernel): number => {
  const bits = kernel.vmcoreinfo.number('SECTION_SIZE_BITS') ?? (kernel.mem.wordSize === 8 ? 27 : 29)
  return bits > 12 && bits < 48 ? bits : 27
}

/** Page frames of a section. */
export const section_frames = (kernel: SectionedKernel): number => 2 ** section_size_bits(kernel) / PAGE_SIZE

/** The sections that are present, in order. @throws FaultError @see mm/sparse.c:mem_section */
export function* sections(kernel: SectionedKernel): Generator<SectionRow> {
  const { types } = kernel
  if (!types.has('mem_section', 'section_mem_map')) return
  const size = types.sizeof('mem_section')
  const frames = section_frames(kernel)
  const end = kernel.container.ranges.reduce((most, { endPfn }) => Math.max(most, endPfn), 0)
  const perRoot = Math.floor(PAGE_SIZE / size)
  const root = section_root(kernel)
  for (let nr = 0; nr * frames < end; nr++) {
    const base = root(Math.floor(nr / perRoot))
    if (base === 0) {
      nr += perRoot - 1
      continue
    }
    const row = section_row(kernel, base + (nr % perRoot) * size, nr, frames)
    if (row !== undefined) yield row
  }
}

/** Where the sections of each page of them are. */
function section_root(kernel: SectionedKernel): (index: number) => Va {
  const { mem } = kernel
  const symbol = findSymbolVa(kernel, 'mem_section')
  const said = kernel.vmcoreinfo.symbol('mem_section')
  const size = kernel.types.sizeof('mem_section')
  if (symbol === undefined) return () => 0
  // 32-bit kernels have one plain array (no SPARSEMEM_EXTREME)
  if (mem.wordSize === 4) return (index) => symbol + index * Math.floor(PAGE_SIZE / size) * size
  const table = said !== undefined && toVa(said, mem.wordSize) === symbol ? symbol : mem.pointer(symbol)
  return (index) => (table === 0 ? 0 : mem.pointer(table + index * mem.wordSize))
}

function section_row(kernel: Kernel, va: Va, nr: number, frames: number): SectionRow | undefined {
  const bits = kernel.mem.wordSize * 8
  const section = refAt(kernel, 'mem_section', va)
  const word = BigInt.asUintN(bits, section.$int('section_mem_map'))
  const flags = Number(word & ((1n << BigInt(FLAG_BITS)) - 1n))
  if ((flags & SECTION_FLAGS.P) === 0) return undefined
  const coded = (word >> BigInt(FLAG_BITS)) << BigInt(FLAG_BITS)
  const pfn = nr * frames
  return {
    nr,
    section: section.$addr,
    coded_mem_map: coded,
    mem_map: BigInt.asUintN(bits, coded + BigInt(pfn) * BigInt(kernel.types.sizeof('page'))),
    state: Object.entries(SECTION_FLAGS)
      .map(([letter, flag]) => ((flags & flag) !== 0 ? letter : ''))
      .join(''),
    pfn,
  }
}

/** One memory block. */
export interface MemoryBlockRow {
  /** `struct memory_block *` */
  readonly memory_block: bigint
  readonly name: string
  readonly start: bigint
  readonly end: bigint
  readonly node: number
  readonly state: string
  readonly start_section_nr: number
}

/** @throws FaultError, ValidationError @see drivers/base/memory.c:memory_subsys */
export function* memory_blocks(kernel: SectionedKernel): Generator<MemoryBlockRow> {
  const { types, mem } = kernel
  const subsystem = findSymbolVa(kernel, 'memory_subsys')
  if (subsystem === undefined || !types.has('memory_block', 'dev') || !types.has('bus_type', 'p')) return
  const head = refAt(kernel, 'bus_type', subsystem).$ref('p')?.$vaOf('klist_devices.k_list')
  if (head === undefined) return
  const knode = types.offsetof('device_private', 'knode_bus.n_node')
  const member = types.offsetof('memory_block', 'dev')
  for (const node of list_for_each(mem, head, BLOCKS_MAX)) {
    const device = refAt(kernel, 'device_private', node - knode).$ref('device')
    if (device !== null) yield memory_block_row(kernel, refAt(kernel, 'memory_block', device.$va - member))
  }
}

function memory_block_row(kernel: SectionedKernel, block: StructRef): MemoryBlockRow {
  const perBlock = findSymbolVa(kernel, 'sections_per_block')
  const count = perBlock === undefined ? 1 : Math.max(1, kernel.mem.u32(perBlock))
  const start_section_nr = Number(block.$int('start_section_nr'))
  const bytes = BigInt(2 ** section_size_bits(kernel))
  const start = BigInt(start_section_nr) * bytes
  const state = Number(block.$int('state'))
  return {
    memory_block: block.$addr,
    name: dev_name(block.$inside('dev')),
    start,
    end: start + BigInt(count) * bytes - 1n,
    node: block.$has('nid') ? Number(block.$int('nid')) : 0,
    state: MEMORY_STATES[state] ?? String(state),
    start_section_nr,
  }
}
