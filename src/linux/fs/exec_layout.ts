/** Where a dynamically linked program's parts lie: executable, heap, libraries, stack. @see fs/binfmt_elf.c, mm/util.c:mmap_base */

import { PAGE_SIZE } from '../../abi/page.ts'
import type { Kernel } from '../kernel.ts'
import type { ExecImage } from './exec.ts'

/** `vm_area_struct.vm_flags` of the usual kinds of mapping, soft-dirty included. */
const READ = 0x8000071
const READ_EXEC = 0x8000075
const RELRO = 0x8100071
const READ_WRITE = 0x8100073
const STACK = 0x100173
const VVAR = 0xc044411
const VDSO = 0x8040075

export interface Mapping {
  readonly start: number
  readonly end: number
  readonly flags: number
  readonly pgoff: number
  readonly file: 'exe' | undefined
}

export interface AddressSpace {
  readonly mappings: readonly Mapping[]
  readonly exe: number
  readonly entry: number
  readonly interpreter: number
  readonly code: readonly [number, number]
  readonly data: readonly [number, number]
  readonly heap: readonly [number, number]
  readonly stackTop: number
  readonly vdso: number
  readonly mmapBase: number
}

/** Pages of the executable's segments: headers, text, constants, relocated constants, data. */
const EXE_PAGES: readonly (readonly [number, number])[] = [
  [5, READ],
  [33, READ_EXEC],
  [14, READ],
  [1, RELRO],
  [1, READ_WRITE],
]
/** Of the dynamic linker, and of the C library. */
const LD_PAGES: readonly (readonly [number, number])[] = [
  [1, READ],
  [38, READ_EXEC],
  [10, READ],
  [2, RELRO],
  [2, READ_WRITE],
]
const LIBC_PAGES: readonly (readonly [number, number])[] = [
  [38, READ],
  [342, READ_EXEC],
  [83, READ],
  [4, RELRO],
  [2, READ_WRITE],
  [13, READ_WRITE],
]
/** Pages above the stack that the vDSO is put into. */
const VDSO_ROOM = (16 + 256 + 6) * PAGE_SIZE
const HEAP_PAGES = 33
const STACK_PAGES = 33

/** How far apart things are thrown, in pages, and where from. @see arch/x86/mm/mmap.c */
interface Spread {
  /** Behind the highest address a stack may have. */
  readonly top: number
  /** Lowest address of the executable. */
  readonly base: number
  readonly exe: number
  readonly heap: number
  readonly stack: number
  /** Bytes kept free for the stack to grow into, and more at random. */
  readonly gap: number
  readonly mmap: number
}
const SPREAD_64: Spread = {
  top: 0x7fff_ffff_f000,
  base: 0x5555_5555_4000,
  exe: 1 << 20,
  heap: 0x2000,
  stack: 1 << 22,
  gap: 0x1_0000_0000,
  mmap: 1 << 20,
}
/** Programs of 32 bits are not position-independent: each begins at the same address. */
const SPREAD_32: Spread = {
  top: 0xc000_0000,
  base: 0x0804_8000,
  exe: 1,
  heap: 0x2000,
  stack: 1 << 11,
  gap: 0x800_0000,
  mmap: 1 << 8,
}

/** On a 64-bit kernel such a program has nearly all 4 GiB for itself. */
const SPREAD_COMPAT: Spread = { ...SPREAD_32, top: 0xffff_e000 }

/** Bytes of a program's words: those of the machine, unless it was built for 32 bits. */
export const imageWord = (k: Kernel, image: ExecImage): 4 | 8 => (image.narrow === true ? 4 : k.mem.wordSize)

/** Choose addresses by the machine's randomness, sizes by the image's. */
export function layout(k: Kernel, image: ExecImage): AddressSpace {
  const mappings: Mapping[] = []
  const put = (start: number, pages: number, flags: number, pgoff = 0, file?: 'exe'): number => {
    const end = start + pages * PAGE_SIZE
    mappings.push({ start, end, flags, pgoff, file })
    return end
  }
  const segments = (base: number, parts: readonly (readonly [number, number])[], file?: 'exe'): number => {
    let at = base
    let offset = 0
    for (const [pages, flags] of parts) {
      at = put(at, pages, flags, offset, file)
      offset += pages
    }
    return at
  }
  const page = (below: number): number => k.random.below(below) * PAGE_SIZE
  const wide = imageWord(k, image) === 8
  const spread = wide ? SPREAD_64 : k.mem.wordSize === 8 ? SPREAD_COMPAT : SPREAD_32
  const exe = spread.base + page(spread.exe)
  const exeEnd = segments(exe, EXE_PAGES, 'exe')
  const heap = exeEnd + PAGE_SIZE * (1 + k.random.below(spread.heap))
  put(heap, HEAP_PAGES, READ_WRITE)

  const stackTop = spread.top - page(spread.stack) - (wide ? 0 : VDSO_ROOM)
  const stackStart = stackTop - STACK_PAGES * PAGE_SIZE
  const mmapBase = stackStart - spread.gap - page(spread.mmap)
  const ld = mmapBase - pagesOf(LD_PAGES) * PAGE_SIZE
  segments(ld, LD_PAGES)
  const libc = ld - (pagesOf(LIBC_PAGES) + 2) * PAGE_SIZE
  segments(libc, LIBC_PAGES)
  const wanted = Math.floor((image.vszKb ?? 2260) / 4)
  const fixed = pagesOf(EXE_PAGES) + pagesOf(LD_PAGES) + pagesOf(LIBC_PAGES) + HEAP_PAGES + STACK_PAGES + 6
  if (wanted > fixed) put(libc - (wanted - fixed) * PAGE_SIZE, wanted - fixed, READ)
  put(stackStart, STACK_PAGES, STACK, spread.top / PAGE_SIZE - STACK_PAGES)
  const vvar = stackTop + PAGE_SIZE * (16 + k.random.below(256))
  put(vvar, 4, VVAR)
  put(vvar + 4 * PAGE_SIZE, 2, VDSO)
  const text = exe + 5 * PAGE_SIZE
  const data = exe + 53 * PAGE_SIZE
  return {
    mappings,
    exe,
    entry: text + 0x6c0,
    interpreter: ld,
    code: [text, text + 33 * PAGE_SIZE - 0x2ab],
    data: [data - PAGE_SIZE + 0x8f0, data + 0x430],
    heap: [heap, heap + HEAP_PAGES * PAGE_SIZE],
    stackTop,
    vdso: vvar + 4 * PAGE_SIZE,
    mmapBase,
  }
}

const pagesOf = (parts: readonly (readonly [number, number])[]): number =>
  parts.reduce((n, [pages]) => n + pages, 0)
