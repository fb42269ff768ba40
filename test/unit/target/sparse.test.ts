/** A vmcore of 256 GiB costs no more work to open than a small one: its memory is holes in the file. */

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { elfImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { TinyKernel } from '../../support/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'sparse-'))
afterAll(() => rmSync(folder, { recursive: true }))
const GIB = 2 ** 30

/** The kernel's memory first, then `more` segments of 4 GiB that the file has the length of only. */
function vmcore(name: string, more: number): string {
  const kernel = new TinyKernel('x86_64')
  const low = [...kernel.pages]
    .sort(([a], [b]) => a - b)
    .map(([pfn, bytes]) => ({ paddr: pfn * 4096, bytes }))
  const high = Array.from({ length: more }, (_, i) => ({
    paddr: (4 + i * 4) * GIB,
    bytes: new Uint8Array(0),
  }))
  const file = elfImage([...low, ...high], { notes: vmcoreinfoNote(kernel.vmcoreinfo) })
  const phoff = Number(file.readBigUInt64LE(32))
  for (let i = 0; i < more; i++) {
    const at = phoff + (1 + low.length + i) * 56
    file.writeBigUInt64LE(BigInt(file.length + i * 4 * GIB), at + 8)
    file.writeBigUInt64LE(BigInt(4 * GIB), at + 32)
    file.writeBigUInt64LE(BigInt(4 * GIB), at + 40)
  }
  const path = join(folder, name)
  const fd = openSync(path, 'w')
  writeSync(fd, file)
  ftruncateSync(fd, file.length + more * 4 * GIB)
  closeSync(fd)
  return path
}

/** Symbols, types, a module and a user page: then what that took. */
function work(path: string): { pagesRead: number; bytesRead: number } {
  const target: Target = openTargetSync(path)
  expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
  expect(target.symbols.modules).toHaveLength(1)
  const task = target.ref('task_struct', target.symVa('second_task'))
  expect(Buffer.from(target.readUser(task, 0x400000, 9)).toString()).toBe('user page')
  const { pagesRead, bytesRead } = target.container.stats
  target.close()
  return { pagesRead, bytesRead }
}

test('256 GiB are opened with the pages and bytes of 32 MiB', () => {
  const small = work(vmcore('small', 0))
  const path = vmcore('large', 63)
  expect(openTargetSync(path).container.ranges.at(-1)?.endPfn).toBe((256 * GIB) / 4096)
  expect(work(path)).toEqual(small)
})

test('a page of the far end is zeros, and one read', () => {
  const target = openTargetSync(vmcore('far', 63))
  expect(target.readPhys(255 * GIB, 16)).toEqual(new Uint8Array(16))
  expect(target.container.stats.pagesRead).toBe(1)
})
