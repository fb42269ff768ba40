/**
 * Each dump in every form: the same commands give the same text. makedumpfile makes the forms: COREDRILL_MAKEDUMPFILE
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
import { dumpPath, hasReal, type DumpName } from './dumps.ts'

const tool = process.env['COREDRILL_MAKEDUMPFILE'] ?? 'makedumpfile'
const version = spawnSync(tool, ['-v'], { encoding: 'utf8' })
const features = version.error ? '' : `${version.stdout}${version.stderr}`
const lacks = (codec: string): boolean => !new RegExp(`${codec}\\s+enabled`).test(features)

/** Nothing of user pages: makedumpfile leaves them out. */
const COMMANDS = [
  'sys', 'ps', 'ps -t', 'files 133', 'foreach files', 'net', 'net -s 133', 'net -a', 'net --all', 'mod', 'log', 'mount',
  'bt 133', 'bt -a', 'foreach bt', 'runq', 'task -R pid,comm,cred 133', 'vm 133', 'sig 133', 'set 133', 'sym -q tcp_v4',
  'struct sock -o', 'struct task_struct init_task', 'list task_struct.tasks -s task_struct.pid -h init_task',
  'tree -t rbtree vmap_area_root -o vmap_area.rb_node -s vmap_area.va_start', 'p init_task.comm', 'whatis tcp_v4_rcv',
  'rd linux_banner 16', 'vtop init_task', 'search -t init_task', 'dev', 'dev -p', 'dev -i', 'dev -d',
  'kmem -i', 'kmem -s', 'kmem -S TCP', 'kmem -v', 'kmem -n', 'kmem -f', 'kmem -V', 'kmem -z', 'kmem init_task', 'explain --all',
] // prettier-ignore

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

/** A dump that makedumpfile reads: it and where its forms go. */
interface Origin {
  readonly source: string
  readonly folder: string
}

const form = ({ source, folder: into }: Origin, name: string, ...options: string[]): string => {
  const path = join(into, name)
  execFileSync(tool, [...options, '-d', '31', source, path], { stdio: 'ignore' })
  return path
}

/** The dev dump is an ELF file; makedumpfile reads the panic dump, its own, but makes no ELF file of it. */
function originOf(dump: DumpName): Origin {
  return {
    source: dump === 'dev' ? standardElf() : dumpPath(dump),
    folder: mkdtempSync(join(folder, `${dump}-`)),
  }
}

describe.skipIf(!hasReal || features === '').each(['dev', 'panic'] as const)('the forms of %s', (dump) => {
  let expected: string[]
  let origin: Origin
  beforeAll(async () => {
    origin = originOf(dump)
    expected = await answers(origin.source)
    expected.forEach((text, i) => expect(text.split('\n').length, COMMANDS[i]).toBeGreaterThan(1))
    expect(expected.join('')).not.toMatch(/: cannot read|internal error|no such/)
  }, 120_000)

  // makedumpfile makes an ELF file of another one only; the panic dump is a kdump
  if (dump === 'dev') {
    test(
      'ELF, filtered',
      async () => expect(await answers(form(origin, 'E', '-E'))).toEqual(expected),
      120_000,
    )
  }

  test.each<[string, (from: Origin) => string]>([
    ['kdump, not compressed', (from) => form(from, 'u')],
    ['zlib', (from) => form(from, 'c', '-c')],
    ['flattened', flattened],
    ['split', split],
    ['cut into parts', (from) => cut(from, 3)],
    ['snappy', snappy],
  ])('%s', async (_, make) => expect(await answers(make(origin))).toEqual(expected), 120_000)

  test.skipIf(lacks('lzo'))(
    'lzo',
    async () => expect(await answers(form(origin, 'l', '-l'))).toEqual(expected),
    120_000,
  )
  test.skipIf(lacks('zstd'))(
    'zstd',
    async () => expect(await answers(form(origin, 'z', '-z'))).toEqual(expected),
    120_000,
  )
})

function flattened({ source, folder: into }: Origin): string {
  const path = join(into, 'F')
  const fd = openSync(path, 'w')
  execFileSync(tool, ['-F', '-c', '-d', '31', source], { stdio: ['ignore', fd, 'ignore'] })
  closeSync(fd)
  return path
}

/** What makedumpfile splits itself: with blocks this small every part gets pages. */
function split({ source, folder: into }: Origin): string {
  const paths = ['S0', 'S1', 'S2'].map((name) => join(into, name))
  const size = ['--splitblock-size', '16']
  execFileSync(tool, ['--split', ...size, '-c', '-d', '31', source, ...paths], { stdio: 'ignore' })
  for (const path of paths) {
    const { part, memory, ...container } = openContainer(path)
    const frames = container.ranges.flatMap(({ startPfn, endPfn }) =>
      Array.from({ length: endPfn - startPfn }, (_, i) => startPfn + i),
    )
    expect(part, path).toBeDefined()
    expect(frames.filter((pfn) => typeof memory.page(pfn) !== 'string').length, path).toBeGreaterThan(100)
  }
  return paths.join()
}

/** Parts cut at other places than makedumpfile would. */
function cut(origin: Origin, count: number): string {
  const { pages, notes, end } = pagesOf(form(origin, 's', '-c'))
  const paths = Array.from({ length: count }, (_, i) => {
    const part = { startPfn: Math.floor((end * i) / count), endPfn: Math.floor((end * (i + 1)) / count) }
    const path = join(origin.folder, `s${i}`)
    writeFileSync(path, kdumpImage(pages, { notes, part }))
    return path
  })
  return paths.join()
}

/** Few makedumpfiles are built with snappy: its flag and our own blocks. */
function snappy(origin: Origin): string {
  const { pages, notes } = pagesOf(form(origin, 'p', '-c'))
  const path = join(origin.folder, 'snappy')
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
