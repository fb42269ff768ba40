/** ORC: for every instruction where its caller's frame is, from the tables in the kernel's own memory. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'
import { module_of_address } from './module.ts'

/** @see arch/x86/include/asm/orc_types.h */
export const ORC_REG_UNDEFINED = 0
export const ORC_REG_PREV_SP = 1
export const ORC_REG_DX = 2
export const ORC_REG_DI = 3
export const ORC_REG_BP = 4
export const ORC_REG_SP = 5
export const ORC_REG_R10 = 6
export const ORC_REG_R13 = 7
export const ORC_REG_BP_INDIRECT = 8
export const ORC_REG_SP_INDIRECT = 9

export type OrcType = 'undefined' | 'end_of_stack' | 'call' | 'regs' | 'regs_partial'

/** One row: how to find the caller's frame from this instruction. */
export interface OrcEntry {
  readonly sp_offset: number
  readonly bp_offset: number
  readonly sp_reg: number
  readonly bp_reg: number
  readonly type: OrcType
}

const LOOKUP_BLOCK_SIZE = 256
/** A kernel has some 800,000 rows. */
const ROWS_MAX = 1 << 24

export class OrcTables {
  readonly #kernel: Kernel
  readonly #ip: Va
  readonly #rows: Va
  readonly #count: number
  readonly #lookup: Va | undefined
  readonly #blocks: number
  readonly #stext: Va
  readonly #etext: Va
  readonly #typesHaveEnd: boolean
  readonly #entrySize: number

  private constructor(kernel: Kernel, at: Record<'ip' | 'ipEnd' | 'rows' | 'stext' | 'etext', Va>) {
    this.#kernel = kernel
    this.#ip = at.ip
    this.#rows = at.rows
    this.#stext = at.stext
    this.#etext = at.etext
    this.#count = Math.min(Math.max(0, Math.floor((at.ipEnd - at.ip) / 4)), ROWS_MAX)
    this.#entrySize = kernel.types.has('orc_entry') ? kernel.types.sizeof('orc_entry') : 6
    this.#typesHaveEnd = kernel.types.has('orc_entry', 'end')
    this.#lookup = findSymbolVa(kernel, 'orc_lookup')
    const blocks = findSymbolVa(kernel, 'lookup_num_blocks')
    this.#blocks = this.#lookup === undefined || blocks === undefined ? 0 : kernel.mem.u32(blocks)
  }

  /** The kernel's tables; undefined when it was built without, or they are empty. */
  static open(kernel: Kernel): OrcTables | undefined {
    const ip = findSymbolVa(kernel, '__start_orc_unwind_ip')
    const ipEnd = findSymbolVa(kernel, '__stop_orc_unwind_ip')
    const rows = findSymbolVa(kernel, '__start_orc_unwind')
    const stext = findSymbolVa(kernel, '_stext')
    const etext = findSymbolVa(kernel, '_etext')
    if (ip === undefined || ipEnd === undefined || rows === undefined) return undefined
    if (stext === undefined || etext === undefined || ipEnd <= ip) return undefined
    // the kernel counts the blocks when it takes the tables into use
    const blocks = findSymbolVa(kernel, 'lookup_num_blocks')
    if (blocks !== undefined && kernel.mem.u32(blocks) === 0) return undefined
    return new OrcTables(kernel, { ip, ipEnd, rows, stext, etext })
  }

  /** The row for an instruction; undefined when there is none or it cannot be read. @see arch/x86/kernel/unwind_orc.c:orc_find */
  find(ip: Va): OrcEntry | undefined {
    try {
      if (ip < this.#stext || ip >= this.#etext) return this.#findInModule(ip) ?? this.#findOutside(ip)
      const [first, last] = this.#block(ip) ?? [0, this.#count - 1]
      return this.#search(this.#ip, this.#rows, first, last, ip)
    } catch (error) {
      if (error instanceof FaultError) return undefined
      throw error
    }
  }

  /** The rows the lookup table names for an address. */
  #block(ip: Va): [number, number] | undefined {
    const block = Math.floor((ip - this.#stext) / LOOKUP_BLOCK_SIZE)
    if (this.#lookup === undefined || block >= this.#blocks - 1) return undefined
    const first = this.#kernel.mem.u32(this.#lookup + block * 4)
    const last = this.#kernel.mem.u32(this.#lookup + (block + 1) * 4)
    return first > last || last >= this.#count ? undefined : [first, last]
  }

  /** Init text and the like lie in the same tables, without a lookup block. */
  #findOutside(ip: Va): OrcEntry | undefined {
    return this.#search(this.#ip, this.#rows, 0, this.#count - 1, ip)
  }

  #findInModule(ip: Va): OrcEntry | undefined {
    const { types } = this.#kernel
    if (!types.has('module', 'arch.num_orcs')) return undefined
    const mod = module_of_address(this.#kernel, ip)
    if (mod === undefined) return undefined
    const count = Math.min(Number(mod.$int('arch.num_orcs')), ROWS_MAX)
    const ips = toVa(mod.$int('arch.orc_unwind_ip'))
    const rows = toVa(mod.$int('arch.orc_unwind'))
    if (count === 0 || ips === 0 || rows === 0) return undefined
    return this.#search(ips, rows, 0, count - 1, ip)
  }

  /** The last row that begins at or before `ip`. */
  #search(ips: Va, rows: Va, first: number, last: number, ip: Va): OrcEntry | undefined {
    const { mem } = this.#kernel
    let low = first
    let high = last
    let found = first
    while (low <= high) {
      const middle = (low + high) >>> 1
      const at = ips + middle * 4
      if (at + (mem.u32(at) | 0) <= ip) {
        found = middle
        low = middle + 1
      } else high = middle - 1
    }
    return this.#read(rows + found * this.#entrySize)
  }

  #read(at: Va): OrcEntry {
    const { mem } = this.#kernel
    const regs = mem.u8(at + 4)
    const more = mem.u8(at + 5)
    // 6.4 put `signal` before `type` and made room for two more types
    const type = this.#typesHaveEnd ? TYPES[more & 3] : TYPES_6_4[more & 7]
    return {
      sp_offset: (mem.u16(at) << 16) >> 16,
      bp_offset: (mem.u16(at + 2) << 16) >> 16,
      sp_reg: regs & 15,
      bp_reg: regs >> 4,
      type: type ?? 'undefined',
    }
  }
}

const TYPES: readonly OrcType[] = ['call', 'regs', 'regs_partial']
const TYPES_6_4: readonly OrcType[] = ['undefined', 'end_of_stack', 'call', 'regs', 'regs_partial']
