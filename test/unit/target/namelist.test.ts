/** A vmlinux beside a dump whose own tables were left out, or which never named them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { loadLayout } from '../../../src/layouts/layout.ts'
import { openTarget } from '../../../src/target/target.ts'
import { kdumpImage, note, vmcoreinfoNote } from '../../support/dump-images.ts'
import { endsWell, fuzzCases, mutate } from '../../support/mutate.ts'
import { openNamelist } from '../../../src/target/namelist.ts'
import { Vmcoreinfo } from '../../../src/vmcore/vmcoreinfo.ts'
import { TinyKernel } from '../../support/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'namelist-'))
afterAll(() => rmSync(folder, { recursive: true }))

const kernel = new TinyKernel('x86_64')
const BTF = loadLayout('linux-6.1.192-x86_64').btf

/** An ELF file with `.text`, notes, BTF, and the tiny kernel's symbols. */
function vmlinux(buildId = 'aa', parts = { btf: BTF }): Buffer {
  const strings = ['', ...kernel.symbols.map((s) => s.name)]
  const names = ['', '.text', '.notes', '.BTF', '.symtab', '.strtab', '.shstrtab']
  const pool = (list: readonly string[]): Buffer => Buffer.from(list.map((s) => `${s}\0`).join(''), 'latin1')
  const at = (list: readonly string[], i: number): number => pool(list.slice(0, i)).length
  const symtab = Buffer.alloc(24 * strings.length)
  kernel.symbols.forEach((symbol, i) => {
    symtab.writeUInt32LE(at(strings, i + 1), 24 * (i + 1))
    symtab.writeUInt8(symbol.type === symbol.type.toLowerCase() ? 0 : 0x10, 24 * (i + 1) + 4)
    symtab.writeUInt16LE(symbol.va >= 0 ? 0xfff1 : 1, 24 * (i + 1) + 6)
    symtab.writeBigInt64LE(BigInt(symbol.va), 24 * (i + 1) + 8)
  })
  const bodies = [
    new Uint8Array(0),
    new Uint8Array(0),
    note('GNU', 3, Buffer.from(buildId, 'hex')),
    parts.btf,
    symtab,
    pool(strings),
    pool(names),
  ]
  const types = [0, 1, 7, 1, 2, 3, 3]
  const headers = Buffer.alloc(64 * names.length)
  let offset = 64
  bodies.forEach((body, i) => {
    headers.writeUInt32LE(at(names, i), 64 * i)
    headers.writeUInt32LE(types[i] as number, 64 * i + 4)
    headers.writeBigUInt64LE(i === 1 ? 6n : 2n, 64 * i + 8)
    headers.writeBigUInt64LE(BigInt(offset), 64 * i + 24)
    headers.writeBigUInt64LE(BigInt(body.length), 64 * i + 32)
    headers.writeUInt32LE(i === 4 ? 5 : 0, 64 * i + 40)
    offset += body.length
  })
  const header = Buffer.alloc(64)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  header.writeUInt16LE(2, 16)
  header.writeBigUInt64LE(BigInt(offset), 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(names.length, 60)
  header.writeUInt16LE(6, 62)
  return Buffer.concat([header, ...bodies, headers])
}

let files = 0
function file(bytes: Uint8Array): string {
  const path = join(folder, `file${files++}`)
  writeFileSync(path, bytes)
  return path
}

/** The tiny kernel's dump without the pages of some stretches of its image. */
function dump(without: readonly (readonly [number, number])[], info = kernel.vmcoreinfo): string {
  const excluded = new Set<number>()
  for (const [from, to] of without)
    for (let at = from; at < to; at += 4096) excluded.add(Math.floor((kernel.imagePhys + at) / 4096))
  return file(kdumpImage(kernel.pages, { excluded, notes: vmcoreinfoNote(info) }))
}

const KALLSYMS = [0x100000, 0x110000] as const
const BTF_PAGES = [0x400000, 0x600000] as const
const name = async (path: string, namelist?: string): Promise<string> => {
  const target = await openTarget(path, { namelist })
  return target.object('init_task').$array('comm').$string()
}

describe('a vmlinux as namelist', () => {
  test.each<[string, string]>([
    ['whose types were left out', dump([BTF_PAGES])],
    ['whose symbols were left out', dump([KALLSYMS])],
    ['without both', dump([KALLSYMS, BTF_PAGES])],
    [
      'whose VMCOREINFO names no tables, which are gone',
      dump([KALLSYMS], kernel.vmcoreinfo.replace(/^SYMBOL\(kallsyms.*\n/gm, '')),
    ],
  ])('opens a dump %s', async (_, path) => {
    await expect(name(path)).rejects.toThrow()
    expect(await name(path, file(vmlinux()))).toBe('swapper/0')
  })

  test('KASLR moves its addresses, not the per-CPU ones', async () => {
    const moved = kernel.vmcoreinfo.replace('KERNELOFFSET=0', 'KERNELOFFSET=200000')
    const { symbols } = await openTarget(dump([KALLSYMS], moved), { namelist: file(vmlinux()) })
    const schedule = kernel.symbols.find((s) => s.name === 'schedule')
    expect(symbols.va('schedule')).toBe((schedule?.va ?? 0) + 0x200000)
    expect(symbols.va('runqueues')).toBe(0x200)
    expect(symbols.find('schedule')?.type).toBe('T')
    expect(symbols.findAll('local').map((s) => s.type)).toEqual(['t', 't'])
  })

  test("another build's is refused", async () => {
    const path = dump([BTF_PAGES], `BUILD-ID=aa\n${kernel.vmcoreinfo}`)
    expect(await name(path, file(vmlinux('aa')))).toBe('swapper/0')
    await expect(name(path, file(vmlinux('bb')))).rejects.toThrow(
      expect.objectContaining({ code: 'BAD_FORMAT' }),
    )
  })

  test('one that is not there', async () => {
    const path = dump([BTF_PAGES])
    await expect(name(path, join(folder, 'none'))).rejects.toThrow(
      expect.objectContaining({ code: 'UNREADABLE' }),
    )
  })

  test('damaged: an answer or one error', () => {
    const good = vmlinux('aa', { btf: BTF.slice(0, 256) })
    const path = file(good)
    for (let i = 0; i < fuzzCases(200); i++) {
      const bytes = Uint8Array.from(good)
      const random = new Random(`vmlinux ${i}`)
      mutate(bytes, random, 0, random.below(2) === 0 ? 64 : bytes.length)
      writeFileSync(path, bytes)
      endsWell(`vmlinux ${i}`, () => {
        const list = openNamelist(path, 8, new Vmcoreinfo('BUILD-ID=aa\n'))
        list.btf()
        expect(list.symbols().count).toBeGreaterThanOrEqual(0)
      })
    }
  }, 600_000)
})
