/**
 * The least memory a target can be opened on: page tables, VMCOREINFO, kallsyms, BTF, two tasks, one module and a
 * user page. Made of bytes alone, so that it does not follow the simulator's mistakes.
 */

import { toAddr, toVa, type Va } from '../../src/base/addr.ts'
import { openWindows } from '../../src/base/windows.ts'
import { Btf } from '../../src/btf/parse.ts'
import { Types } from '../../src/btf/types.ts'
import { loadLayout } from '../../src/layouts/layout.ts'
import { encodeKallsyms, type SymbolEntry } from '../../src/symbols/encode.ts'
import { PAGE } from './dump-images.ts'

export type TinyMode = 'x86_64' | 'x86_64-la57' | 'i386' | 'i386-pae'

export interface TinyOptions {
  /** leave these keys out of VMCOREINFO */
  readonly without?: readonly string[]
  /** no symbols for BTF's place */
  readonly hideBtf?: boolean
  /** no `page_offset_base`: a kernel without RANDOMIZE_MEMORY */
  readonly hideBases?: boolean
  /** the direct map where it was before 4.20 */
  readonly oldDirectMap?: boolean
}

const MEMORY = 32 << 20
/** A direct map that needs five levels, and a user address that does; both reached through the same tables as others. */
const FAR_DIRECT_MAP = 0xff11n << 48n
export const FAR_USER = 0x00ab_0000_0040_0000n
const IMAGE_SIZE = 8 << 20
const AT = {
  schedule: 0x1000,
  other: 0x1100,
  kallsyms: 0x100000,
  btf: 0x400000,
  tables: 0x600000,
  data: 0x620000,
  vmcoreinfo: 0x700000,
} as const

export class TinyKernel {
  readonly mode: TinyMode
  readonly wordSize: 4 | 8
  readonly memorySize = MEMORY
  readonly pages = new Map<number, Uint8Array>()
  readonly types: Types
  readonly imageVa: Va
  /** physical address of the image */
  readonly imagePhys = 0x1400000
  readonly physBase: number
  readonly pageOffset: Va
  readonly modulesVa: Va
  readonly vmcoreinfo: string
  readonly symbols: SymbolEntry[] = []
  readonly percpuOffsets = [0x1000, 0x3000]
  readonly #btf: Uint8Array

  constructor(mode: TinyMode, options: TinyOptions = {}) {
    this.mode = mode
    const wide = mode === 'x86_64' || mode === 'x86_64-la57'
    this.wordSize = wide ? 8 : 4
    this.imageVa = wide ? -0x7f00_0000 : 0xc140_0000
    this.physBase = wide ? 0x400000 : 0
    this.pageOffset = wide ? -0x7780 * 2 ** 32 : 0xc000_0000
    if (options.oldDirectMap === true) this.pageOffset = -0x7800 * 2 ** 32
    if (mode === 'x86_64-la57') {
      openWindows(BigInt.asIntN(64, FAR_DIRECT_MAP), MEMORY)
      this.pageOffset = toVa(FAR_DIRECT_MAP)
    }
    this.modulesVa = wide ? -0x4000_0000 : 0xf800_0000
    this.#btf = loadLayout(wide ? 'linux-6.1.192-x86_64' : 'linux-6.1.176-i386').btf
    this.types = new Types(Btf.parse(this.#btf, { pointerSize: this.wordSize }))
    this.#tables()
    this.#contents(options)
    const kallsyms = this.#kallsyms()
    const lines = [
      'OSRELEASE=6.1.0-tiny',
      'PAGESIZE=4096',
      `SYMBOL(_stext)=${this.#hex(this.imageVa)}`,
      `SYMBOL(swapper_pg_dir)=${this.#hex(this.imageVa + AT.tables)}`,
      ...kallsyms.map(({ name, va }) => `SYMBOL(${name})=${this.#hex(va)}`),
      ...(wide
        ? [
            `NUMBER(phys_base)=${this.physBase}`,
            `NUMBER(pgtable_l5_enabled)=${mode === 'x86_64-la57' ? 1 : 0}`,
            'KERNELOFFSET=0',
          ]
        : []),
      ...(mode === 'i386-pae' ? ['CONFIG_X86_PAE=y'] : []),
    ]
    this.vmcoreinfo =
      lines.filter((l) => !options.without?.some((key) => l.startsWith(key))).join('\n') + '\n'
    this.poke(this.imageVa + AT.vmcoreinfo, Buffer.from(this.vmcoreinfo, 'latin1'))
  }

  /** Physical address of the image's or the modules' bytes. */
  phys(va: Va): number {
    if (va >= this.modulesVa && va < this.modulesVa + (1 << 20)) return 0x1000000 + va - this.modulesVa
    if (va >= this.imageVa && va < this.imageVa + IMAGE_SIZE) return this.imagePhys + va - this.imageVa
    throw new Error(`no place for ${va}`)
  }

  poke(va: Va, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.pokePhys(this.phys(va) + i, bytes[i] as number)
  }

  pokePhys(at: number, byte: number): void {
    const pfn = Math.floor(at / PAGE)
    let page = this.pages.get(pfn)
    if (page === undefined) this.pages.set(pfn, (page = new Uint8Array(PAGE)))
    page[at % PAGE] = byte
  }

  word(va: Va, value: number | bigint): void {
    this.poke(va, this.#le(typeof value === 'number' ? toAddr(value) : value, this.wordSize))
  }

  u32(va: Va, value: number): void {
    this.poke(va, this.#le(value, 4))
  }

  string(va: Va, text: string): void {
    this.poke(va, Buffer.from(`${text}\0`, 'latin1'))
  }

  #hex(va: Va): string {
    return BigInt.asUintN(this.wordSize * 8, BigInt(va)).toString(16)
  }

  #le(value: number | bigint, size: number): Uint8Array {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)))
    return bytes.subarray(0, size)
  }

  #entry(table: number, index: number, value: number): void {
    const size = this.mode === 'i386' ? 4 : 8
    this.#le(value, size).forEach((byte, i) => this.pokePhys(table + index * size + i, byte))
  }

  /** 2 MiB (4 MiB) leaves for image and direct map, 4 KiB pages for modules; a user table besides. */
  #tables(): void {
    const root = this.imagePhys + AT.tables
    const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((i) => root + i * PAGE) as [
      number,
      number,
      number,
      number,
      number,
    ]
    const leaf = 0x80 | 3
    if (this.mode === 'i386') {
      const slot = (va: Va): number => Math.floor(va / 2 ** 22)
      for (let i = 0; i < MEMORY / (4 << 20); i++)
        this.#entry(root, slot(this.pageOffset) + i, i * (4 << 20) + leaf)
      this.#entry(root, slot(this.modulesVa), a + 3)
      for (let i = 0; i < 256; i++) this.#entry(a, i, 0x1000000 + i * PAGE + 3)
      return
    }
    if (this.mode === 'i386-pae') {
      this.#entry(root, 3, a + 1)
      for (let i = 0; i < MEMORY / (2 << 20); i++) this.#entry(a, i, i * (2 << 20) + leaf)
      this.#entry(a, (this.modulesVa - 0xc000_0000) / 2 ** 21, b + 3)
      for (let i = 0; i < 256; i++) this.#entry(b, i, 0x1000000 + i * PAGE + 3)
      return
    }
    const five = this.mode === 'x86_64-la57'
    const [low, high] = five ? [root + 6 * PAGE, root + 7 * PAGE] : [root, root]
    if (five) {
      this.#entry(root, 273, low + 3)
      this.#entry(root, 511, high + 3)
    }
    this.#entry(low, five ? 0 : Math.floor(this.pageOffset / 2 ** 39) & 511, a + 3)
    this.#entry(a, 0, 0 + leaf)
    this.#entry(high, 511, b + 3)
    this.#entry(b, 510, c + 3)
    for (let i = 0; i < IMAGE_SIZE / (2 << 20); i++)
      this.#entry(c, 8 + i, this.imagePhys + i * (2 << 20) + leaf)
    this.#entry(b, 511, d + 3)
    this.#entry(d, 0, e + 3)
    for (let i = 0; i < 256; i++) this.#entry(e, i, 0x1000000 + i * PAGE + 3)
    // user: 0x400000 -> physical 0x1900000
    const user = root + 8 * PAGE
    const last = five ? 4 : 3
    for (let i = 0; i < last; i++)
      this.#entry(user + i * PAGE, i === last - 1 ? 2 : 0, user + (i + 1) * PAGE + 7)
    if (five) this.#entry(user, Number(FAR_USER >> 48n), user + PAGE + 7)
    this.#entry(user + last * PAGE, 0, 0x1900000 + 7)
  }

  #contents(options: TinyOptions): void {
    const { types } = this
    const data = this.imageVa + AT.data
    const symbol = (name: string, type: string, va: Va): Va => {
      this.symbols.push({ name, type, va })
      return va
    }
    symbol('_text', 'T', this.imageVa)
    symbol('_stext', 'T', this.imageVa)
    symbol('schedule', 'T', this.imageVa + AT.schedule)
    symbol('local', 't', this.imageVa + AT.other)
    symbol('local', 't', this.imageVa + AT.other + 0x10)
    symbol('_etext', 'T', this.imageVa + 0x2000)
    symbol('__start_rodata', 'D', this.imageVa + 0x80000)
    if (options.hideBtf !== true) {
      symbol('__start_BTF', 'R', this.imageVa + AT.btf)
      symbol('__stop_BTF', 'R', this.imageVa + AT.btf + this.#btf.length)
    }
    symbol('__end_rodata', 'D', this.imageVa + AT.tables - PAGE)
    this.poke(this.imageVa + AT.btf, this.#btf)
    symbol('swapper_pg_dir', 'D', this.imageVa + AT.tables)

    const task = symbol('init_task', 'D', data)
    this.string(task + types.offsetof('task_struct', 'comm'), 'swapper/0')
    const next = data + 0x4000
    this.string(next + types.offsetof('task_struct', 'comm'), 'ncat')
    this.u32(next + types.offsetof('task_struct', 'pid'), 133)
    const mm = data + 0x8000
    this.word(next + types.offsetof('task_struct', 'mm'), mm)
    this.word(
      mm + types.offsetof('mm_struct', 'pgd'),
      this.pageOffset + this.imagePhys + AT.tables + 8 * PAGE,
    )
    symbol('second_task', 'D', next)
    Buffer.from('user page').forEach((byte, i) => this.pokePhys(0x1900000 + i, byte))

    if (options.hideBases !== true) this.word(symbol('page_offset_base', 'D', data + 0xa000), this.pageOffset)
    this.word(symbol('prb', 'd', data + 0xa008), data + 0xa100)
    symbol('printk_rb_static', 'd', data + 0xa100)
    const offsets = symbol('__per_cpu_offset', 'D', data + 0xb000)
    this.percpuOffsets.forEach((offset, cpu) =>
      this.word(offsets + cpu * this.wordSize, data + 0x10000 + offset),
    )
    this.u32(symbol('__cpu_online_mask', 'D', data + 0xb200), 0b11)
    this.u32(symbol('nr_cpu_ids', 'D', data + 0xb400), 2)
    if (this.wordSize === 8) {
      symbol('__per_cpu_start', 'A', 0)
      symbol('runqueues', 'A', 0x200)
      symbol('__per_cpu_end', 'A', 0x2000)
    } else symbol('runqueues', 'D', data + 0xd000)
    symbol('modules', 'D', data + 0xc000)
    this.#module(data + 0xc000)
    symbol('_end', 'B', this.imageVa + IMAGE_SIZE)
  }

  /** One module, `tiny`, with two symbols. */
  #module(head: Va): void {
    const { types } = this
    const module = this.modulesVa + 0x4000
    const in_ = (path: string): Va => module + types.offsetof('module', path)
    this.word(head, in_('list'))
    this.word(head + this.wordSize, in_('list'))
    this.word(in_('list'), head)
    this.string(in_('name'), 'tiny')
    this.word(in_('core_layout.base'), this.modulesVa)
    this.u32(in_('core_layout.size'), 0x5000)
    const kallsyms = this.modulesVa + 0x3000
    this.word(in_('kallsyms'), kallsyms)
    const table = kallsyms + 0x100
    const strings = kallsyms + 0x800
    this.word(kallsyms + types.offsetof('mod_kallsyms', 'symtab'), table)
    this.u32(kallsyms + types.offsetof('mod_kallsyms', 'num_symtab'), 4)
    this.word(kallsyms + types.offsetof('mod_kallsyms', 'strtab'), strings)
    this.word(kallsyms + types.offsetof('mod_kallsyms', 'typetab'), kallsyms + 0xc00)
    this.poke(strings, Buffer.from('\0tiny_init\0tiny_exit\0printk\0'))
    this.poke(kallsyms + 0xc00, Buffer.from('?tTU'))
    const symbols = [
      [0, 0, 0],
      [1, 0x10, 1],
      [11, 0x80, 1],
      [21, 0, 0],
    ] as const
    symbols.forEach(([name, value, section], i) => {
      const wide = this.wordSize === 8
      const at = table + i * (wide ? 24 : 16)
      this.u32(at, name)
      this.poke(at + (wide ? 6 : 14), this.#le(section, 2))
      this.word(at + (wide ? 8 : 4), value === 0 ? 0 : this.modulesVa + value)
    })
  }

  /** The tables in the order of scripts/kallsyms.c; gives those VMCOREINFO names. */
  #kallsyms(): { name: string; va: Va }[] {
    const image = encodeKallsyms(this.symbols, this.wordSize)
    const named: { name: string; va: Va }[] = []
    let at = this.imageVa + AT.kallsyms
    const put = (name: string, bytes: Uint8Array): void => {
      named.push({ name, va: at })
      this.poke(at, bytes)
      at += Math.ceil(bytes.length / this.wordSize) * this.wordSize
    }
    put('kallsyms_offsets', image.offsets)
    put('kallsyms_relative_base', image.relativeBase)
    put('kallsyms_num_syms', image.numSyms)
    put('kallsyms_names', image.names)
    put('kallsyms_markers', image.markers)
    put('kallsyms_seqs_of_names', image.seqsOfNames)
    put('kallsyms_token_table', image.tokenTable)
    put('kallsyms_token_index', image.tokenIndex)
    return named.filter(({ name }) => !/markers|seqs/.test(name))
  }
}
