import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { DumpError } from '../../../src/base/errors.ts'
import { crc32 } from '../../../src/vmcore/crc32.ts'
import { writeCdump, type CdumpInput, type SnapshotInput } from '../../../src/vmcore/cdump/write.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import { markedPage, PAGE } from '../../support/dump-images.ts'

const folder = mkdtempSync(join(tmpdir(), 'cdump-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const fresh = (): string => join(folder, `${files++}.cdump`)

const ZERO = new Uint8Array(PAGE)

function input(snapshots: readonly SnapshotInput[], more: Partial<CdumpInput> = {}): CdumpInput {
  return {
    header: {
      profile: 'debian-6.1-x86_64',
      release: '6.1.0',
      machine: 'x86_64',
      wordSize: 8,
      memorySize: 64 * PAGE,
      createdBy: '0.1.0',
      seed: 7,
      scenarioName: 'handshake',
    },
    vmcoreinfo: 'OSRELEASE=6.1.0\n',
    snapshots,
    ...more,
  }
}

function snapshot(name: string, parent: number | null, pages: [number, Uint8Array][]): SnapshotInput {
  return { name, step: 0, timeNs: 0n, parent, pages }
}

function written(data: CdumpInput): string {
  const path = fresh()
  writeCdump(path, data)
  return path
}

/** First byte after the number of a marked page, or the whole when it is zero. */
function kind(page: Uint8Array | string): string {
  if (typeof page === 'string') return page
  return page.every((b) => b === 0)
    ? 'zero'
    : `${new DataView(page.buffer, page.byteOffset).getUint32(0, true)}:${page[9]}`
}

describe('pages', () => {
  test('an empty memory is all zero, and ends where the header says', () => {
    const { memory, ranges } = openContainer(written(input([snapshot('boot', null, [])])))
    expect([0, 63, 64, -1].map((pfn) => kind(memory.page(pfn)))).toEqual([
      'zero',
      'zero',
      'missing',
      'missing',
    ])
    expect(ranges).toEqual([{ startPfn: 0, endPfn: 64 }])
  })

  test('given in any order they are found by number', () => {
    const pages = [40, 3, 17].map((pfn): [number, Uint8Array] => [pfn, markedPage(pfn)])
    const { memory } = openContainer(written(input([snapshot('boot', null, pages)])))
    expect([3, 17, 40, 4].map((pfn) => kind(memory.page(pfn)))).toEqual(['3:90', '17:90', '40:90', 'zero'])
  })

  test('pages without repetition are kept as they are', () => {
    let seed = 1
    const noise = Uint8Array.from({ length: PAGE }, () => (seed = (seed * 16807) % 2147483647) & 0xff)
    const { memory } = openContainer(written(input([snapshot('boot', null, [[1, noise]])])))
    expect(memory.page(1)).toEqual(noise)
  })

  test('a page costs its group of eight, not the file', () => {
    const pages = Array.from({ length: 64 }, (_, pfn): [number, Uint8Array] => [pfn, markedPage(pfn)])
    const container = openContainer(written(input([snapshot('boot', null, pages)])))
    const { memory, stats } = container
    expect(stats.pagesRead).toBe(0)
    for (let pfn = 8; pfn < 16; pfn++) memory.page(pfn)
    expect(stats.pagesRead).toBe(8)
  })
})

describe('snapshots', () => {
  const path = written(
    input([
      snapshot('boot', null, [
        [1, markedPage(1)],
        [2, markedPage(2)],
        [3, markedPage(3)],
      ]),
      snapshot('syn', 0, [
        [2, markedPage(2, 0x11)],
        [3, ZERO],
        [4, markedPage(4)],
      ]),
      snapshot('other', 0, [[1, markedPage(1, 0x22)]]),
      snapshot('ack', 1, [[3, markedPage(3, 0x33)]]),
    ]),
  )
  test.each([
    ['boot', 0, ['1:90', '2:90', '3:90', 'zero']],
    ['syn', 1, ['1:90', '2:17', 'zero', '4:90']],
    ['other', 2, ['1:34', '2:90', '3:90', 'zero']],
    ['ack', 3, ['1:90', '2:17', '3:51', '4:90']],
  ])('%s shows its own pages over its parents’', (_, index, expected) => {
    const memory = openContainer(path).history?.memoryAt(index)
    expect([1, 2, 3, 4].map((pfn) => kind(memory?.page(pfn) ?? 'none'))).toEqual(expected)
  })

  test('the memory of a dump is that of its last snapshot', () => {
    expect(kind(openContainer(path).memory.page(3))).toBe('3:51')
  })

  test('an unchanged page takes no room', () => {
    const pages = Array.from({ length: 60 }, (_, pfn): [number, Uint8Array] => [pfn, markedPage(pfn)])
    const one = input([snapshot('boot', null, pages)])
    const many = input([...one.snapshots, snapshot('same', 0, []), snapshot('same again', 1, [])])
    expect(readFileSync(written(many)).length - readFileSync(written(one)).length).toBeLessThan(300)
  })

  test('there is no snapshot beyond the last', () => {
    expect(() => openContainer(path).history?.memoryAt(4)).toThrow(
      expect.objectContaining({ code: 'NO_SNAPSHOT' }),
    )
  })

  test.each([
    ['a parent that comes later', [snapshot('a', 1, []), snapshot('b', 0, [])]],
    ['a page outside of memory', [snapshot('a', null, [[64, markedPage(64)]])]],
    [
      'a page given twice',
      [
        snapshot('a', null, [
          [1, markedPage(1)],
          [1, markedPage(1)],
        ]),
      ],
    ],
    ['a page of the wrong size', [snapshot('a', null, [[1, new Uint8Array(5)]])]],
  ])('%s is refused, and nothing is left behind', (_, snapshots) => {
    const path = fresh()
    expect(() => writeCdump(path, input(snapshots))).toThrow(expect.objectContaining({ code: 'IMPOSSIBLE' }))
    expect(readdirSync(folder).filter((name) => name === basename(path) || name.includes('.tmp'))).toEqual([])
  })
})

describe('header and sections', () => {
  const sections = new Map([
    ['journal', Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff)],
    ['empty', new Uint8Array(0)],
    ['Шаг 1', Buffer.from('a name beyond ASCII')],
  ])
  const path = written(
    input([{ name: 'boot', step: 3, timeNs: 12345678901234567890n, parent: null, pages: [] }], { sections }),
  )

  test('come back as given', () => {
    const container = openContainer(path)
    expect(container.format).toBe('cdump')
    expect(container.wordSize).toBe(8)
    expect(container.vmcoreinfo).toBe('OSRELEASE=6.1.0\n')
    expect(container.history?.header).toMatchObject({ profile: 'debian-6.1-x86_64', seed: 7 })
    expect(container.history?.snapshots).toEqual([{ name: 'boot', step: 3, timeNs: 12345678901234567890n }])
    expect(container.history?.sectionNames).toEqual([...sections.keys()])
    for (const [name, bytes] of sections)
      expect(Buffer.from(container.history?.section(name) ?? [])).toEqual(Buffer.from(bytes))
    expect(container.history?.section('none')).toBeUndefined()
  })

  test('the same input gives the same bytes', () => {
    const pages = [5, 1, 9].map((pfn): [number, Uint8Array] => [pfn, markedPage(pfn)])
    const data = input([snapshot('boot', null, pages)], { sections })
    expect(Buffer.compare(readFileSync(written(data)), readFileSync(written(data)))).toBe(0)
  })
})

describe('writing', () => {
  test('replaces an older dump only when whole', () => {
    const path = written(input([snapshot('old', null, [])]))
    const broken = {
      *[Symbol.iterator](): Generator<[number, Uint8Array]> {
        yield [1, markedPage(1)]
        throw new RangeError('the recorder stopped')
      },
    }
    expect(() => writeCdump(path, input([{ ...snapshot('new', null, []), pages: broken }]))).toThrow(
      RangeError,
    )
    expect(openContainer(path).history?.snapshots[0]?.name).toBe('old')
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([])
  })

  test('to a folder that is not there: one error that names the path', () => {
    const path = join(folder, 'none', 'x.cdump')
    expect(() => writeCdump(path, input([snapshot('a', null, [])]))).toThrow(
      expect.objectContaining({ code: 'UNWRITABLE', path }),
    )
  })

  test('over a folder: one error, and no temporary file', () => {
    const path = join(folder, 'directory')
    mkdirSync(path)
    expect(() => writeCdump(path, input([snapshot('a', null, [])]))).toThrow(
      expect.objectContaining({ code: 'UNWRITABLE', path }),
    )
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([])
  })

  test('in the place of a pipe: one error, and the pipe stays', () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    expect(() => writeCdump(path, input([snapshot('a', null, [])]))).toThrow(
      expect.objectContaining({ code: 'UNWRITABLE', path }),
    )
    expect(statSync(path).isFIFO()).toBe(true)
  })

  test('under a name the system refuses: one error', () => {
    const path = join(folder, 'x'.repeat(300))
    expect(() => writeCdump(path, input([snapshot('a', null, [])]))).toThrow(
      expect.objectContaining({ code: 'UNWRITABLE', path }),
    )
  })
})

describe('damage', () => {
  const good = ((): Buffer => {
    const pages = Array.from({ length: 10 }, (_, pfn): [number, Uint8Array] => [pfn, markedPage(pfn, pfn)])
    const first = snapshot('boot', null, pages)
    const second = snapshot('syn', 0, [
      [2, markedPage(2, 0x77)],
      [4, ZERO],
    ])
    return readFileSync(
      written(input([first, second], { sections: new Map([['journal', Buffer.from('rows')]]) })),
    )
  })()

  /** Open and read everything; the error's code, or what was read. */
  function readAll(bytes: Uint8Array): string {
    const path = fresh()
    writeFileSync(path, bytes)
    try {
      const container = openContainer(path)
      const { history } = container
      const seen = history?.snapshots.map((s, i) => {
        const memory = history.memoryAt(i)
        return `${s.name} ${Array.from({ length: 64 }, (_, pfn) => kind(memory.page(pfn))).join()}`
      })
      const sections = history?.sectionNames.map((name) =>
        Buffer.from(history.section(name) ?? []).toString(),
      )
      container.close()
      return JSON.stringify([seen, sections, container.vmcoreinfo, history?.header])
    } catch (error) {
      if (!(error instanceof DumpError)) throw error
      expect(error.path).toBe(path)
      expect(error.message).not.toContain('\n')
      return error.code
    } finally {
      rmSync(path)
    }
  }
  const whole = readAll(good)

  test('any byte changed is noticed', () => {
    for (let at = 0; at < good.length; at++) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
      const result = readAll(bytes)
      expect(['BAD_MAGIC', 'BAD_FORMAT', 'BAD_VERSION', 'TRUNCATED'], `byte ${at}`).toContain(result)
    }
  })

  test('cut short anywhere is noticed', () => {
    for (let length = 0; length < good.length; length += length < 200 ? 1 : 97)
      expect(['BAD_MAGIC', 'TRUNCATED', 'BAD_FORMAT'], `length ${length}`).toContain(
        readAll(good.subarray(0, length)),
      )
  })

  test('bytes after the end do no harm', () => {
    expect(readAll(Buffer.concat([good, Buffer.from('tail')]))).toBe(whole)
  })

  test('a newer version says so', () => {
    const bytes = Buffer.from(good)
    bytes.writeUInt32LE(2, 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36)
    expect(readAll(bytes)).toBe('BAD_VERSION')
  })

  test('the error names file and byte', () => {
    const path = fresh()
    const bytes = Buffer.from(good)
    bytes[36] = (bytes[36] as number) ^ 1
    writeFileSync(path, bytes)
    expect(() => openContainer(path)).toThrow(
      expect.objectContaining({ path, offset: 36, code: 'BAD_FORMAT' }),
    )
  })
})
