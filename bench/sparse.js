/** Opening a vmcore of 256 GiB beside one of the same kernel that is small: the file has holes, so it costs no disk. */

import { Buffer } from 'node:buffer'
import { closeSync, ftruncateSync, mkdtempSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openContainer } from '../dist/src/vmcore/open.js'
import { median } from './measure.js'
import { runOnce } from './real.js'

const RUNS = 9
const PAGE = 4096
const GIB = 2 ** 30
const program = fileURLToPath(new URL('../bin/run.js', import.meta.url))

/**
 * Write the memory of a dump as an ELF vmcore; with `spread`, memory goes on to that many bytes in 64 more segments,
 * of which the file has only the length.
 */
export function writeElf(path, dump, spread = 0) {
  const container = openContainer(dump)
  const end = Math.max(...container.ranges.map((r) => r.endPfn)) * PAGE
  const piece = spread === 0 ? 0 : Math.floor((spread - end) / 64 / GIB) * GIB
  const note = Buffer.alloc(24 + Math.ceil((container.vmcoreinfo ?? '').length / 4) * 4)
  note.writeUInt32LE(11, 0)
  note.writeUInt32LE(note.length - 24, 4)
  note.write('VMCOREINFO', 12)
  note.write(container.vmcoreinfo ?? '', 24, 'latin1')
  const extra = Array.from({ length: piece === 0 ? 0 : 64 }, (_, i) => ({ paddr: GIB + Math.ceil(end / GIB) * GIB + i * piece, size: piece })) // prettier-ignore
  const loads = [{ paddr: 0, size: end }, ...extra]
  const headers = Buffer.alloc(64 + 56 * (loads.length + 1))
  headers.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  headers.writeUInt16LE(4, 16)
  headers.writeUInt16LE(62, 18)
  headers.writeUInt32LE(1, 20)
  headers.writeBigUInt64LE(64n, 32)
  headers.writeUInt16LE(64, 52)
  headers.writeUInt16LE(56, 54)
  headers.writeUInt16LE(loads.length + 1, 56)
  const put = (i, type, offset, paddr, size) => {
    const at = 64 + i * 56
    headers.writeUInt32LE(type, at)
    for (const [field, value] of [[8, offset], [24, paddr], [32, size], [40, size]]) headers.writeBigUInt64LE(BigInt(value), at + field) // prettier-ignore
  }
  put(0, 4, headers.length, 0, note.length)
  let at = Math.ceil((headers.length + note.length) / PAGE) * PAGE
  const start = at
  loads.forEach(({ paddr, size }, i) => {
    put(i + 1, 1, at, paddr, size)
    at += size
  })
  const fd = openSync(path, 'w')
  ftruncateSync(fd, at)
  writeSync(fd, headers, 0, headers.length, 0)
  writeSync(fd, note, 0, note.length, headers.length)
  for (const { startPfn, endPfn } of container.ranges)
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = container.memory.page(pfn)
      if (typeof page !== 'string' && page.some((byte) => byte !== 0))
        writeSync(fd, page, 0, PAGE, start + pfn * PAGE)
    }
  closeSync(fd)
  container.close()
}

/** @returns {{ small: { ms: number, mb: number }, large: { ms: number, mb: number } }} */
export function sparseOpening(parent, dump) {
  const folder = mkdtempSync(join(parent, 'sparse-'))
  const [small, large] = [join(folder, 'small'), join(folder, 'large')]
  writeElf(small, dump)
  writeElf(large, dump, 256 * GIB)
  const results = { small: [], large: [] }
  for (let i = 0; i < RUNS; i++)
    for (const [name, path] of [
      ['small', small],
      ['large', large],
    ])
      // prettier-ignore
      results[name].push(runOnce(process.execPath, [program, 'ps', '--no-cache', '--core', path], { folder }))
  const summary = (runs) => ({ ms: median(runs.map((r) => r.ms)), mb: median(runs.map((r) => r.mb)) })
  return { small: summary(results.small), large: summary(results.large) }
}
