/**
 * ORC tables for the image: for every declared function where its frame is, so that `bt` unwinds the simulated
 * stacks exactly as it does a real kernel's.
 *
 * @see arch/x86/kernel/unwind_orc.c:unwind_init, tools/objtool/orc_gen.c
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import { kernelFunctions, type KFunctionInfo } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { functionSize } from './text.ts'

/** arch/x86/include/asm/orc_types.h */
const ORC_REG_UNDEFINED = 0
const ORC_REG_SP = 5
const ORC_TYPE_CALL = 0
const ORC_TYPE_REGS = 1
const LOOKUP_BLOCK = 256

interface OrcRow {
  readonly ip: Va
  readonly spOffset: number
  readonly spReg: number
  readonly type: number
  readonly end: boolean
}

/** Instructions before the frame is complete: the push of the return address is all that has happened. */
const FRAME_READY = 4

/** Lay out `.orc_unwind_ip`, `.orc_unwind` and the lookup table at their symbols. */
export function write_orc(k: Kernel): void {
  const rows = orcRows(k)
  const ips = toVa(k.sym('__start_orc_unwind_ip'))
  const table = toVa(k.sym('__start_orc_unwind'))
  const size = k.types.sizeof('orc_entry')
  storeRows(k, ips, table, rows)
  endSymbol(k, '__stop_orc_unwind_ip', ips + rows.length * 4)
  endSymbol(k, '__stop_orc_unwind', table + rows.length * size)
  writeLookup(k, rows)
}

/** Most rows one function has in a module's table. */
export const ORC_ROWS_PER_FUNCTION = 3

/**
 * The tables of a module, whose functions are placed already.
 * @param ips, table where `mod->arch.orc_unwind_ip` and `orc_unwind` point
 * @returns how many rows there are
 * @see arch/x86/kernel/unwind_orc.c:unwind_module_init
 */
export function write_module_orc(k: Kernel, ips: Va, table: Va, functions: readonly KFunctionInfo[]): number {
  const rows = sorted(functions.flatMap((info) => functionRows(k, info)))
  storeRows(k, ips, table, rows)
  return rows.length
}

function storeRows(k: Kernel, ips: Va, table: Va, rows: readonly OrcRow[]): void {
  const ipBytes = new DataView(new ArrayBuffer(rows.length * 4))
  rows.forEach(({ ip }, i) => ipBytes.setInt32(i * 4, ip - (ips + i * 4), true))
  k.mem.write(ips, new Uint8Array(ipBytes.buffer))
  const size = k.types.sizeof('orc_entry')
  rows.forEach((row, i) => {
    const entry = k.ref('orc_entry', table + i * size)
    entry.sp_offset = row.spOffset
    entry.bp_offset = 0
    entry.sp_reg = row.spReg
    entry.bp_reg = ORC_REG_UNDEFINED
    entry.type = row.type
    entry.end = row.end ? 1 : 0
  })
}

/** Section ends move with what is in the section. */
function endSymbol(k: Kernel, name: string, va: Va): void {
  k.symbols.set(name, BigInt.asUintN(64, BigInt(va)) as ReturnType<Kernel['sym']>)
}

function orcRows(k: Kernel): OrcRow[] {
  const inImage = kernelFunctions.filter(({ kfunc: { module } }) => module === undefined)
  return sorted(inImage.flatMap(({ kfunc: info }) => functionRows(k, info)))
}

/** Where a function's frame is: at its first instruction, behind its prologue, and that it ends. */
function functionRows(k: Kernel, info: KFunctionInfo): OrcRow[] {
  const address = k.textIfAny(info)
  if (address === undefined) return []
  const ip = toVa(address)
  const end = ip + functionSize(k, ip)
  const last = { ip: end, spOffset: 0, spReg: ORC_REG_UNDEFINED, type: ORC_TYPE_CALL, end: true }
  if (info.asm) {
    const regs = info.name.startsWith('entry_') || info.name.startsWith('asm_')
    const row = { ip, spOffset: 0, spReg: regs ? ORC_REG_SP : ORC_REG_UNDEFINED }
    return [{ ...row, type: regs ? ORC_TYPE_REGS : ORC_TYPE_CALL, end: !regs }, last]
  }
  const call = { spReg: ORC_REG_SP, type: ORC_TYPE_CALL, end: false }
  const rows: OrcRow[] = [{ ...call, ip, spOffset: k.mem.wordSize }]
  if (k.stackBytes(info) > 0) rows.push({ ...call, ip: ip + FRAME_READY, spOffset: k.stackBytes(info) })
  return [...rows, last]
}

/** By address; where one function ends and the next begins, the beginning counts. */
function sorted(rows: OrcRow[]): OrcRow[] {
  rows.sort((a, b) => a.ip - b.ip || Number(b.end) - Number(a.end))
  return rows.filter((row, i) => rows[i + 1]?.ip !== row.ip)
}

/** `orc_lookup[]`: for each 256 bytes of text the row its first byte falls in. */
function writeLookup(k: Kernel, rows: readonly OrcRow[]): void {
  const start = toVa(k.sym('_stext'))
  const blocks = Math.ceil((toVa(k.sym('_etext')) - start) / LOOKUP_BLOCK)
  const lookup = new DataView(new ArrayBuffer((blocks + 1) * 4))
  let row = 0
  for (let block = 0; block <= blocks; block++) {
    while (row + 1 < rows.length && (rows[row + 1] as OrcRow).ip <= start + block * LOOKUP_BLOCK) row++
    lookup.setUint32(block * 4, row, true)
  }
  k.mem.write(toVa(k.sym('orc_lookup')), new Uint8Array(lookup.buffer))
  k.mem.setU32(toVa(k.sym('lookup_num_blocks')), blocks + 1)
}
