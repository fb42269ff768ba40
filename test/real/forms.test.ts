/**
 * One dump in every form: the same commands give the same text. makedumpfile makes the forms: COREDRILL_MAKEDUMPFILE
 * names it where it is not in the path.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTargetSync } from '../../src/target/target.ts'
import { openContainer } from '../../src/vmcore/open.ts'
import { crash } from '../support/recorded.ts'
import { kdumpImage, note } from '../support/dump-images.ts'
import { dumpPath, hasReal } from './dumps.ts'

const tool = process.env['COREDRILL_MAKEDUMPFILE'] ?? 'makedumpfile'
const version = spawnSync(tool, ['-v'], { encoding: 'utf8' })
const features = version.error ? '' : `${version.stdout}${version.stderr}`
const lacks = (codec: string): boolean => !new RegExp(`${codec}\\s+enabled`).test(features)

const COMMANDS = [
  'sys',
  'ps',
  'files 133',
  'net',
  'net -s 133',
  'mod',
  'log',
  'mount',
  'bt 133',
  'struct sock -o',
]

const folder = mkdtempSync(join(tmpdir(), 'forms-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** QEMU puts section headers first and writes an e_ehsize of 8; makedumpfile wants the program headers there. */
function standardElf(): string {
  const path = join(folder, 'elf')
  copyFileSync(dumpPath('dev'), path)
  execFileSync('chmod', ['u+w', path])
  const fd = openSync(path, 'r+')
  const header = Buffer.alloc(64)
  readSync(fd, header, 0, 64, 0)
  const table = Buffer.alloc(header.readUInt16LE(54) * header.readUInt16LE(56))
  readSync(fd, table, 0, table.length, Number(header.readBigUInt64LE(32)))
  header.writeBigUInt64LE(64n, 32)
  header.writeBigUInt64LE(0n, 40)
  header.writeUInt16LE(64, 52)
  header.fill(0, 58)
  writeSync(fd, header, 0, 64, 0)
  writeSync(fd, table, 0, table.length, 64)
  closeSync(fd)
  return path
}

/** What is printed that names the file itself. */
const withoutPath = (text: string): string => text.replaceAll(/^ *DUMPFILE:.*\n/gm, '')

async function answers(path: string): Promise<string[]> {
  const target = openTargetSync(path)
  const texts: string[] = []
  for (const command of COMMANDS) texts.push(withoutPath(await crash(target, command)))
  target.close()
  return texts
}

const form = (name: string, ...options: string[]): string => {
  const path = join(folder, name)
  execFileSync(tool, [...options, '-d', '31', join(folder, 'elf'), path], { stdio: 'ignore' })
  return path
}

describe.skipIf(!hasReal || features === '')('the forms of one dump', () => {
  let expected: string[]
  beforeAll(async () => {
    expected = await answers(standardElf())
    expected.forEach((text, i) => expect(text.split('\n').length, COMMANDS[i]).toBeGreaterThan(3))
    expect(expected.join('')).not.toMatch(/: cannot read|internal error|no such/)
  }, 120_000)

  test.each<[string, () => string]>([
    ['ELF, filtered', () => form('E', '-E')],
    ['kdump, not compressed', () => form('u')],
    ['zlib', () => form('c', '-c')],
    ['flattened', flattened],
    ['split', () => split(3)],
    ['snappy', snappy],
  ])('%s', async (_, make) => expect(await answers(make())).toEqual(expected), 120_000)

  test.skipIf(lacks('lzo'))(
    'lzo',
    async () => expect(await answers(form('l', '-l'))).toEqual(expected),
    120_000,
  )
  test.skipIf(lacks('zstd'))(
    'zstd',
    async () => expect(await answers(form('z', '-z'))).toEqual(expected),
    120_000,
  )
})

function flattened(): string {
  const path = join(folder, 'F')
  const fd = openSync(path, 'w')
  execFileSync(tool, ['-F', '-c', '-d', '31', join(folder, 'elf')], { stdio: ['ignore', fd, 'ignore'] })
  closeSync(fd)
  return path
}

/** makedumpfile gives a small dump's pages to its first part alone, so the parts are cut here. */
function split(count: number): string {
  const { pages, notes, end } = pagesOf(form('s', '-c'))
  const paths = Array.from({ length: count }, (_, i) => {
    const part = { startPfn: Math.floor((end * i) / count), endPfn: Math.floor((end * (i + 1)) / count) }
    const path = join(folder, `s${i}`)
    writeFileSync(path, kdumpImage(pages, { notes, part }))
    return path
  })
  return paths.join()
}

/** Few makedumpfiles are built with snappy: its flag and our own blocks. */
function snappy(): string {
  const { pages, notes } = pagesOf(form('p', '-c'))
  const path = join(folder, 'snappy')
  writeFileSync(path, kdumpImage(pages, { notes, codec: 'snappy' }))
  return path
}

function pagesOf(path: string): { pages: Map<number, Uint8Array>; notes: Uint8Array; end: number } {
  const container = openContainer(path)
  const pages = new Map<number, Uint8Array>()
  for (const { startPfn, endPfn } of container.ranges)
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = container.memory.page(pfn)
      if (typeof page !== 'string') pages.set(pfn, page)
    }
  const notes = Buffer.concat(container.notes.map((n) => note(n.name, n.type, n.desc)))
  container.close()
  return { pages, notes, end: Math.max(...pages.keys()) + 1 }
}
