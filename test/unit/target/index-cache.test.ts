import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { cacheFolder, IndexCache } from '../../../src/target/index-cache.ts'
import { decodeIndex, encodeIndex, type KernelIndex } from '../../../src/target/index-file.ts'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { crc32 } from '../../../src/vmcore/crc32.ts'
import { elfImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { mutate } from '../../support/mutate.ts'
import { TinyKernel } from '../../support/tiny-kernel.ts'

const BUILD_ID = '00112233445566778899aabbccddeeff00112233'
const root = mkdtempSync(join(tmpdir(), 'index-'))
afterAll(() => rmSync(root, { recursive: true }))

/** A vmcore of the tiny kernel with a build id; `change` may alter its pages first. */
function vmcore(name: string, change: (kernel: TinyKernel) => void = () => undefined): string {
  const kernel = new TinyKernel('x86_64')
  change(kernel)
  const path = join(root, name)
  const notes = vmcoreinfoNote(`${kernel.vmcoreinfo}BUILD-ID=${BUILD_ID}\n`)
  const segments = [...kernel.pages].map(([pfn, bytes]) => ({ paddr: pfn * 4096, bytes }))
  writeFileSync(path, elfImage(segments, { notes }))
  return path
}

const path = vmcore('plain')
const folder = join(root, 'cache')
const file = join(folder, `${BUILD_ID}.8.index`)
let notes: string[] = []
const open = (of = path): Target =>
  openTargetSync(of, { cache: new IndexCache(folder, (line) => notes.push(line)) })
/** Offsets that only types tell, a name that is not there, and an enumerator. */
const answers = (target: Target): unknown[] => [
  target.types.offsetof('task_struct', 'comm'),
  target.types.sizeof('sock'),
  target.types.has('no_such_struct'),
  target.types.enumerator('TCP_ESTABLISHED'),
]
const expected = answers(openTargetSync(path))

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true })
  notes = []
})

/** Open once and keep what was found. */
function fill(of = path): void {
  const target = open(of)
  expect(answers(target)).toEqual(expected)
  target.keepIndex()
}

describe('the index of a kernel', () => {
  test('is written after the first opening, for its owner alone, and used by the next', () => {
    fill()
    expect(readdirSync(folder)).toEqual([`${BUILD_ID}.8.index`])
    expect(statSync(file).mode & 0o077).toBe(0)
    const later = open()
    expect(answers(later)).toEqual(expected)
    expect(notes.at(-1)).toMatch(/: used$/)
    const cold = openTargetSync(path)
    answers(cold)
    expect(later.container.stats.pagesRead).toBeLessThan(cold.container.stats.pagesRead / 4)
  })

  test('is not touched by an opening that was given no cache', () => {
    const target = openTargetSync(path)
    answers(target)
    target.keepIndex()
    expect(existsSync(folder)).toBe(false)
  })

  test('is written once', () => {
    fill()
    const before = statSync(file).mtimeMs
    const target = open()
    answers(target)
    target.keepIndex()
    expect(statSync(file).mtimeMs).toBe(before)
  })

  test('that the dump contradicts is dropped and made anew', () => {
    fill()
    const other = vmcore('other', (kernel) => {
      const at = kernel.symbols.find((s) => s.name === '__start_BTF')?.va ?? 0
      // The last byte of the strings: no answer depends on it, but a sample sees it.
      const stop = kernel.symbols.find((s) => s.name === '__stop_BTF')?.va ?? at
      kernel.poke(stop - 2, Uint8Array.of(0x21))
    })
    const target = open(other)
    expect(answers(target)).toEqual(expected)
    expect(notes.some((line) => line.includes('the dump says otherwise'))).toBe(true)
    target.keepIndex()
    expect(answers(open(other))).toEqual(expected)
    expect(notes.at(-1)).toMatch(/: used$/)
  })

  test.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['empty', () => Buffer.alloc(0)],
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 9)],
    [
      'with one bit flipped',
      (bytes) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4
        return bytes
      },
    ],
    [
      'of another version',
      (bytes) => {
        bytes.writeUInt32LE(99, 12)
        return bytes
      },
    ],
    [
      "of another kernel's build id",
      (bytes) => Buffer.from(bytes.toString('latin1').replace('0011', '1100'), 'latin1'),
    ],
    ['that is no index at all', () => Buffer.from('#!/bin/sh\n')],
  ])('%s is ignored and rewritten', (_, damage) => {
    fill()
    writeFileSync(file, damage(readFileSync(file)))
    fill()
    expect(notes.some((line) => line.includes('not used'))).toBe(true)
    notes = []
    fill()
    expect(notes).toEqual([expect.stringMatching(/: used$/)])
  })

  test('a folder that cannot be written is no error', () => {
    writeFileSync(folder, 'a file')
    fill()
    expect(notes.at(-1)).toMatch(/cannot be written/)
    rmSync(folder)
  })

  test('a build id that is no build id names no file', () => {
    const cache = new IndexCache(folder)
    cache.store({ ...sample(), buildId: '../../evil' })
    expect(existsSync(folder)).toBe(false)
    expect(cache.load('../../evil', 8)).toBeUndefined()
  })

  test('old ones go when there are too many', () => {
    mkdirSync(folder, { recursive: true })
    for (let i = 0; i < 40; i++) {
      const old = join(folder, `${i.toString(16).padStart(40, '0')}.8.index`)
      writeFileSync(old, 'x')
      utimesSync(old, 1000 + i, 1000 + i)
    }
    writeFileSync(join(folder, 'README'), 'not ours')
    fill()
    const left = readdirSync(folder)
    expect(left).toHaveLength(33)
    expect(left).toContain('README')
    expect(left).toContain(`${BUILD_ID}.8.index`)
    expect(left).not.toContain(`${'0'.repeat(40)}.8.index`)
    const cache = new IndexCache(folder)
    expect(cache.files()[0]?.name).toBe(`${BUILD_ID}.8.index`)
    expect(cache.clear()).toBe(32)
    expect(readdirSync(folder)).toEqual(['README'])
  })
})

/** A valid index whose tables lie. */
function sample(): KernelIndex {
  const btf = openTargetSync(path).types.btf
  return { buildId: BUILD_ID, pointerSize: 8, btf: btf.bytes, names: btf.index() }
}

describe('a hostile index, its checksum right', () => {
  test.each<[string, (index: KernelIndex) => KernelIndex['names']]>([
    ['no free slot', ({ names }) => ({ ...names, slots: names.slots.map((s) => (s === 0 ? 1 : s)) })],
    ['slots outside the strings', ({ names }) => ({ ...names, slots: names.slots.map(() => 0x7fff_ffff) })],
    ['chains in circles', ({ names }) => ({ ...names, next: names.next.map((_, i) => i + 1) })],
    [
      'chains to nowhere',
      ({ names }) => ({
        ...names,
        next: names.next.map(() => -5),
        heads: names.heads.map(() => 0x7fff_fff0),
      }),
    ],
    [
      'one slot',
      ({ names }) => ({
        slots: Int32Array.of(3),
        keys: Int32Array.of(1),
        heads: Int32Array.of(1),
        next: names.next,
      }),
    ],
    [
      'tables of odd sizes',
      () => ({
        slots: new Int32Array(3),
        keys: new Int32Array(5),
        heads: new Int32Array(7),
        next: new Int32Array(0),
      }),
    ],
  ])('%s: an answer or an error', (_, lie) => {
    const index = sample()
    new IndexCache(folder).store({ ...index, names: lie(index) })
    expect(existsSync(file)).toBe(true)
    const target = open()
    try {
      answers(target)
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^NO_/) as unknown })
    }
  })

  test('damaged headers with a right checksum are refused or decoded', () => {
    const words = (n: number): Int32Array => new Int32Array(n)
    const names = { slots: words(4), keys: words(4), heads: words(4), next: words(2) }
    const whole = encodeIndex({ buildId: BUILD_ID, pointerSize: 8, btf: new Uint8Array(64), names })
    for (let seed = 1; seed <= 2000; seed++) {
      const bytes = Uint8Array.from(whole)
      mutate(bytes, new Random(seed), 12, 140)
      new DataView(bytes.buffer).setUint32(8, crc32(bytes.subarray(12)), true)
      const result = decodeIndex(bytes, BUILD_ID, 8)
      if (typeof result !== 'string') expect(result.btf.length).toBeLessThanOrEqual(bytes.length)
    }
  })
})

describe('where indexes are kept', () => {
  test.each([
    [{ XDG_CACHE_HOME: '/x' }, '/x/coredrill'],
    [{ XDG_CACHE_HOME: 'relative', HOME: '/home/u' }, '/home/u/.cache/coredrill'],
    [{ HOME: '/home/u' }, '/home/u/.cache/coredrill'],
    [{ HOME: '' }, undefined],
  ])('%j: %s', (env, place) => {
    expect(cacheFolder(env)).toBe(place)
  })
})
