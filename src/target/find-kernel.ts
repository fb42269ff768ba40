/**
 * What must be known of a kernel before its memory can be read: VMCOREINFO, from the container, from memory itself,
 * or, where there is none, put together from what page tables and banner show.
 */

import { hex, toVa, type Va } from '../base/addr.ts'
import { DumpError } from '../base/errors.ts'
import type { PhysicalMemory } from '../memory/memory.ts'
import type { Container } from '../vmcore/container.ts'
import { findVmcoreinfo, Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'
import { KernelSpace, START_KERNEL_MAP } from './address-space.ts'
import { ImageFinder, type FoundImage } from './find-image.ts'

const PAGE = 4096
/** Pages read in search of something: 16 GiB. What the kernel allocates at boot lies low. */
const MAX_PAGES = 1 << 22
/** How often to tell how far the search has come. */
const PAGES_PER_NOTE = 1 << 14
/** Where x86-64 is linked. @see arch/x86/Kconfig:PHYSICAL_START */
const LINKED_AT = START_KERNEL_MAP + 0x100_0000
/** With KASLR; without it is half of that. @see arch/x86/include/asm/page_64_types.h */
const KERNEL_IMAGE_SIZE = 1 << 30
const BANNER = 'Linux version '
/** The banner is among the read-only data, within the first of the image. */
const BANNER_WITHIN = 64 << 20

/** Told how far a long search has come; an empty text when it is over. */
export type Progress = (text: string) => void

/**
 * The VMCOREINFO text of a dump.
 *
 * @throws DumpError BAD_FORMAT when neither it nor a kernel can be found
 */
export function findKernel(container: Container, progress: Progress = () => undefined): Vmcoreinfo {
  const { path } = container
  let told = false
  const tell: Progress = (text) => {
    told ||= text !== ''
    if (told) progress(text)
  }
  try {
    const given = container.vmcoreinfo ?? searchText(container, tell)
    const known = given === undefined ? undefined : new Vmcoreinfo(given)
    if (known !== undefined && (isUsable(known) || known.get('SYMBOL(_stext)') === undefined)) return known
    const withBase =
      known && container.physBase !== undefined ? added(known, baseLine(container.physBase)) : known
    if (withBase !== undefined && fits(container, withBase) === true) return withBase
    const image = container.wordSize === 4 ? undefined : searchImage(container, tell)
    if (image !== undefined) return added(known, ...imageLines(container.memory, image))
    if (withBase !== undefined) return withBase
  } finally {
    tell('')
  }
  const problem =
    'no VMCOREINFO in its notes or memory (QEMU adds it with -device vmcoreinfo), and no kernel found in its memory'
  throw new DumpError('BAD_FORMAT', path, -1, problem)
}

/** Does it say all that address translation needs? Kernels before 4.10 do not say where they were loaded. */
function isUsable(info: Vmcoreinfo): boolean {
  const root = info.symbol('swapper_pg_dir') ?? info.symbol('init_top_pgt') ?? info.symbol('init_level4_pgt')
  if (root === undefined) return false
  return root <= 0xffff_ffffn || info.number('phys_base') !== undefined
}

const baseLine = (physBase: number): string => `NUMBER(phys_base)=${physBase}`

/** With lines it lacks. */
function added(info: Vmcoreinfo | undefined, ...lines: string[]): Vmcoreinfo {
  const fresh = lines.filter((line) => info?.get(line.slice(0, line.indexOf('='))) === undefined)
  return new Vmcoreinfo([info?.text.trimEnd() ?? [], ...fresh].flat().join('\n') + '\n')
}

/** Do the page tables it names show the image where it says? Undefined when they are not in the dump. */
function fits(container: Container, info: Vmcoreinfo): boolean | undefined {
  const stext = info.symbol('_stext')
  if (stext === undefined) return undefined
  try {
    const space = new KernelSpace(container.path, container.memory, info)
    if (space.wordSize === 4) return undefined
    const va = toVa(stext)
    const frame = space.table.frame(va)
    if (typeof frame === 'string') return frame === 'excluded' || frame === 'missing' ? undefined : false
    return frame === Math.floor((va - START_KERNEL_MAP + space.physBase) / PAGE)
  } catch (error) {
    if (error instanceof DumpError) return false
    throw error
  }
}

/** The text where the kernel keeps it: by itself at the start of a page. */
function searchText(container: Container, progress: Progress): string | undefined {
  const pages = allPages(container, progress, 'looking for VMCOREINFO')
  return findVmcoreinfo(pages, (text) => fits(container, new Vmcoreinfo(text)) !== false)
}

function searchImage(container: Container, progress: Progress): FoundImage | undefined {
  const finder = new ImageFinder(container.memory)
  for (const [pfn, page] of allPages(container, progress, 'looking for page tables')) finder.see(pfn, page)
  return finder.found()
}

/** Every page of the dump, up to a bound. */
function* allPages(
  { memory, ranges }: Container,
  progress: Progress,
  what: string,
): Generator<readonly [number, Uint8Array]> {
  const total = ranges.reduce((sum, r) => sum + r.endPfn - r.startPfn, 0)
  let [seen, read] = [0, 0]
  for (const { startPfn, endPfn } of ranges)
    for (let pfn = startPfn; pfn < endPfn && read < MAX_PAGES; pfn++) {
      if (++seen % PAGES_PER_NOTE === 0) progress(`${what}: ${Math.floor((seen / total) * 100)} %`)
      const page = memory.page(pfn)
      if (typeof page === 'string') continue
      read++
      yield [pfn, page]
    }
}

/** What VMCOREINFO would say of an image found by its page tables. */
function imageLines(memory: PhysicalMemory, image: FoundImage): string[] {
  const { text, physBase } = image
  const at = (phys: number): Va => START_KERNEL_MAP + phys - physBase
  const release = bannerRelease(memory, text - START_KERNEL_MAP + physBase)
  return [
    ...(release === undefined ? [] : [`OSRELEASE=${release}`]),
    `PAGESIZE=${PAGE}`,
    `SYMBOL(_stext)=${hex(text)}`,
    `SYMBOL(swapper_pg_dir)=${hex(at(image.root))}`,
    baseLine(physBase),
    `NUMBER(KERNEL_IMAGE_SIZE)=${KERNEL_IMAGE_SIZE}`,
    `NUMBER(pgtable_l5_enabled)=${image.levels === 5 ? 1 : 0}`,
    `KERNELOFFSET=${hex(Math.max(0, text - LINKED_AT))}`,
  ]
}

/** The release in the first banner of the image. @see init/version.c:linux_banner */
function bannerRelease(memory: PhysicalMemory, phys: number): string | undefined {
  for (let pfn = Math.floor(phys / PAGE); pfn * PAGE < phys + BANNER_WITHIN; pfn++) {
    const page = memory.page(pfn)
    if (typeof page === 'string') continue
    const text = Buffer.from(page.buffer, page.byteOffset, PAGE)
    for (let at = text.indexOf(BANNER); at >= 0; at = text.indexOf(BANNER, at + 1)) {
      const [, release] = /^Linux version (\d\S{0,63}) \(/.exec(text.toString('latin1', at, at + 128)) ?? []
      if (release !== undefined) return release
    }
  }
  return undefined
}
