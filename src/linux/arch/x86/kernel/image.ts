/**
 * The kernel image as the boot loader leaves it: banner, VMCOREINFO, kallsyms, BTF, each at its own symbol. What an
 * inspector needs to open the memory, and nothing it prints. Where it all lies is the word size's: image_64.ts,
 * image_32.ts.
 */

import { align, toVa, type Addr } from '../../../../base/addr.ts'
import { InvariantError } from '../../../../base/errors.ts'
import type { Layout, LayoutSymbol } from '../../../../layouts/layout.ts'
import type { GuestMemory } from '../../../../memory/guest-memory.ts'
import { encodeKallsyms, type KallsymsImage } from '../../../../symbols/encode.ts'
import type { Kernel } from '../../../kernel.ts'
import type { Profile } from '../../../profile.ts'
import * as image32 from './image_32.ts'
import * as image64 from './image_64.ts'

/** Where the image, and what the boot code puts behind it, lie in physical memory. */
export interface PhysicalLayout {
  /** Of `_text`. */
  readonly loadPhys: number
  /** `phys_base`: what to add to an address of the image's mapping, besides its start; 0 on 32 bits. */
  readonly physBase: number
  /** Of the array of all `struct page`: vmemmap, or `mem_map` on 32 bits. */
  readonly vmemmapPhys: number
  readonly perCpuPhys: number
  /** First frame the page allocator may have, beside the low memory under the image. */
  readonly freePfn: number
  /** Behind the last one: the end of memory, or of what 32 bits map directly. */
  readonly endPfn: number
}

/** How one word size lays a machine out. */
export interface AddressLayout {
  /** @throws InvariantError when memory cannot hold the image at all */
  layOutPhysical(
    mem: GuestMemory,
    symbols: ReadonlyMap<string, Addr>,
    cpus: number,
    pae: boolean,
    pageBytes: number,
  ): PhysicalLayout
  /** The windows the simulator reads through: what the page tables say, without walking them. */
  addWindows(mem: GuestMemory, layout: PhysicalLayout, symbols: ReadonlyMap<string, Addr>): void
  /** Variables the very first kernel code needs: the bases of the address space and the per-CPU offsets. */
  writeBases(k: Kernel, layout: PhysicalLayout): void
  /** @param allocTable a zeroed page for a table: its physical address */
  writePageTables(k: Kernel, layout: PhysicalLayout, allocTable: () => number): void
}

export const addressLayout = (wordSize: 4 | 8): AddressLayout => (wordSize === 8 ? image64 : image32)

/** `linux_banner`, `saved_command_line`, `init_uts_ns`: who this kernel is. */
export function writeIdentity(k: Kernel, hostname: string): void {
  const { profile } = k
  k.mem.write(toVa(k.sym('linux_banner'), k.mem.wordSize), Buffer.from(`${bannerOf(profile)}\n\0`, 'latin1'))
  const uts = k.global('init_uts_ns', 'uts_namespace')
  uts.name.sysname.$setString('Linux')
  uts.name.nodename.$setString(hostname)
  uts.name.release.$setString(profile.release)
  uts.name.version.$setString(profile.version)
  uts.name.machine.$setString(profile.machine)
  uts.name.domainname.$setString('(none)')
  uts.ns.count.refs.counter = 2
  uts.ns.inum = 0xeffffffe
  uts.user_ns = k.global('init_user_ns', 'user_namespace')
}

export const bannerOf = (profile: Profile): string =>
  `Linux version ${profile.release} ${profile.builder} ${profile.version}`

/** The kallsyms tables, as scripts/kallsyms.c lays them out, at their symbols. */
export function writeKallsyms(k: Kernel, symbols: readonly LayoutSymbol[]): void {
  packKallsyms(k, symbols.length)
  const image = kallsymsOf(k, symbols)
  const put = (name: string, bytes: Uint8Array): void => {
    const at = k.symbols.get(name)
    if (at !== undefined) k.mem.write(toVa(at, k.mem.wordSize), bytes)
  }
  put('kallsyms_names', image.names)
  put('kallsyms_num_syms', image.numSyms)
  put('kallsyms_markers', image.markers)
  put('kallsyms_seqs_of_names', image.seqsOfNames)
  put('kallsyms_token_table', image.tokenTable)
  put('kallsyms_token_index', image.tokenIndex)
  put('kallsyms_offsets', image.offsets)
  put('kallsyms_relative_base', image.relativeBase)
}

/** Tables whose place follows from their size: readers that know only the next one count back from it. */
const PACKED = ['kallsyms_seqs_of_names', 'kallsyms_markers']

/** With fewer symbols than the kernel was linked with, markers and sequence numbers move up to the tokens. */
function packKallsyms(k: Kernel, count: number): void {
  const sizes = [count * 3, Math.ceil(count / 256) * 4]
  let at = k.sym('kallsyms_token_table') as bigint
  PACKED.forEach((name, i) => {
    at -= BigInt(align(sizes[i] ?? 0, k.mem.wordSize))
    k.symbols.set(name, at as Addr)
  })
}

const encoded = new WeakMap<readonly LayoutSymbol[], KallsymsImage>()

/** The tables depend on the profile alone: made once for all machines of it. */
function kallsymsOf(k: Kernel, symbols: readonly LayoutSymbol[]): KallsymsImage {
  let image = encoded.get(symbols)
  if (image === undefined) {
    const entries = symbols.map(({ name, type, address }) => {
      // section ends moved with what is in the sections; everything else is where it was linked
      const moved = name.startsWith('__stop_') || PACKED.includes(name)
      const at = moved ? k.sym(name) : address
      return { name, type, va: toVa(at, k.mem.wordSize) }
    })
    image = encodeKallsyms(entries, k.mem.wordSize)
    encoded.set(symbols, image)
  }
  return image
}

/** The types, between `__start_BTF` and `__stop_BTF`. */
export function writeBtf(k: Kernel, layout: Layout): void {
  const start = k.sym('__start_BTF')
  const room = k.sym('__stop_BTF') - start
  if (BigInt(layout.btf.length) > room)
    throw new InvariantError('the BTF closure is larger than the image has room for')
  k.mem.write(toVa(start, k.mem.wordSize), layout.btf)
  k.symbols.set('__stop_BTF', (start + BigInt(layout.btf.length)) as Addr)
}
