/** Read-only memory: are the kernel's text and constants still write-protected, and do the processors heed that? */

import { hex, toAddr, type Va } from '../../base/addr.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

const RW = 2n
const PAGE = 4096
const RANGES = [
  ['_stext', '_etext', 'text'],
  ['__start_rodata', '__end_rodata', 'rodata'],
] as const
/** CR0.WP: the kernel's own stores heed read-only pages. */
const WP = 1n << 16n
/** Of `struct QEMUCPUState`: version, size, 18 registers, 10 segments of 24 bytes, then CR0. */
const QEMU_CR0 = 8 + 18 * 8 + 10 * 24

/** @returns why there is nothing to check, if so */
export function* checkProtection(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols } = c.target
  for (const [from, to, what] of RANGES) {
    const start = symbols.findKernel(from)
    const end = symbols.findKernel(to)
    if (start === undefined || end === undefined || end.va <= start.va) continue
    yield* c.guard(what, () => pages(c, what, start.va, end.va))
  }
  yield* c.guard('CR0', () => processors(c))
  return undefined
}

interface Run {
  readonly start: Va
  end: Va
  readonly entry: bigint
  readonly at: number
}

/** Runs of writable pages, unless the whole range is: then this kernel does not protect it. */
function* pages(c: CheckContext, what: string, start: Va, end: Va): Generator<Seen> {
  const runs: Run[] = []
  let protectedPages = 0
  for (let va = Math.ceil(start / PAGE) * PAGE; va + PAGE <= end;) {
    const { entries, phys, pageSize } = c.target.walk(va)
    const next = (Math.floor(va / pageSize) + 1) * pageSize
    if (phys !== undefined) {
      // the top entries of PAE have no such bit
      const tables = c.target.space.mode === 'i386-pae' ? entries.slice(1) : entries
      const last = entries[entries.length - 1]
      if (last === undefined || !tables.every(({ value }) => (value & RW) !== 0n)) protectedPages++
      else if (runs.at(-1)?.end === va) (runs.at(-1) as Run).end = Math.min(next, end)
      else runs.push({ start: va, end: Math.min(next, end), entry: last.value, at: last.entryAddr })
    }
    va = next
  }
  if (protectedPages === 0 || runs.length === 0) {
    const verdict = protectedPages === 0 ? 'this kernel does not write-protect it' : 'ok'
    yield { place: `${what} ${hex(start)}-${hex(end)}`, at: toAddr(start), value: 0n, verdict }
    return
  }
  for (const run of runs) {
    const place = `${what} ${hex(run.start)}-${hex(run.end)}`
    const verdict = `writable: page table entry at physical ${run.at.toString(16)}`
    yield { place, at: toAddr(run.start), value: run.entry, found: true, verdict }
  }
}

/** CR0 of each processor, where the dump has it (QEMU's notes). */
function* processors(c: CheckContext): Generator<Seen> {
  let cpu = 0
  for (const { name, desc } of c.target.container.notes) {
    if (name !== 'QEMU' || desc.length < QEMU_CR0 + 8) continue
    const view = new DataView(desc.buffer, desc.byteOffset, desc.byteLength)
    const cr0 = view.getBigUint64(QEMU_CR0, true)
    const clear = (cr0 & WP) === 0n
    const verdict = clear ? 'CR0.WP is clear: stores of the kernel do not heed read-only pages' : 'ok'
    yield { place: `CPU ${cpu++} CR0`, at: 0n, value: cr0, found: clear, verdict }
  }
}
