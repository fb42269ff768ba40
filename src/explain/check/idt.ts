/** The interrupt descriptor table: is every gate the kernel's own? */

import { toAddr } from '../../base/addr.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

const VECTORS = 256
/** The gate's P bit, in the byte after the type: byte 5. */
const PRESENT = 0x80

/** @returns why there is nothing to check, if so */
export function* checkIdt(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, wordSize } = c.target
  const table = symbols.findKernel('idt_table')
  if (table === undefined) return 'this kernel has no idt_table'
  for (let vector = 0; vector < VECTORS; vector++) {
    const at = table.va + vector * wordSize * 2
    yield* c.guard(`idt_table[${vector}]`, () => gate(c, vector, at))
  }
  return undefined
}

/** @see arch/x86/include/asm/desc_defs.h:struct gate_struct */
function* gate(c: CheckContext, vector: number, at: number): Generator<Seen> {
  const { mem, wordSize } = c.target
  if ((mem.u8(at + 5) & PRESENT) === 0) return
  const low = BigInt(mem.u16(at)) | (BigInt(mem.u16(at + 6)) << 16n)
  const value = wordSize === 8 ? low | (BigInt(mem.u32(at + 8)) << 32n) : low
  const seen = c.judge(`idt_table[${vector}]`, toAddr(at), value, 'any module')
  // the entries of interrupts are rows of short pieces of code under one symbol
  const rows = /^(irq|spurious)_entries_start\+|^irq_entries_start|^early_idt_handler_array/.test(
    seen.symbol ?? '',
  )
  yield rows && seen.owner === 'kernel' ? { ...seen, found: false, verdict: 'ok' } : seen
}
