/** The dump kept for each version of the format: it can still be read, and the current one is still written so. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { writeCdump, type CdumpInput } from '../../../src/vmcore/cdump/write.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import { markedPage } from '../../support/dump-images.ts'

const folder = mkdtempSync(join(tmpdir(), 'golden-'))
afterAll(() => rmSync(folder, { recursive: true }))
const golden = fileURLToPath(new URL('../../../dumps/formats/v1.cdump', import.meta.url))

const INPUT: CdumpInput = {
  header: {
    profile: 'debian-6.1-x86_64',
    release: '6.1.0-56-amd64',
    machine: 'x86_64',
    wordSize: 8,
    memorySize: 1 << 20,
    createdBy: '0.1.0',
    seed: 1,
    scenarioName: 'golden',
  },
  vmcoreinfo: 'OSRELEASE=6.1.0-56-amd64\nPAGESIZE=4096\n',
  snapshots: [
    {
      name: 'boot',
      step: 0,
      timeNs: 0n,
      parent: null,
      pages: [1, 2, 200].map((pfn) => [pfn, markedPage(pfn)] as const),
    },
    {
      name: 'syn',
      step: 1,
      timeNs: 1500n,
      parent: 0,
      pages: [
        [2, markedPage(2, 1)],
        [200, new Uint8Array(4096)],
      ],
    },
  ],
  sections: new Map([['scenario', Buffer.from('name: golden\n')]]),
}

test('version 1 is read', () => {
  const { history } = openContainer(golden)
  expect(history?.snapshots).toEqual([
    { name: 'boot', step: 0, timeNs: 0n },
    { name: 'syn', step: 1, timeNs: 1500n },
  ])
  const [boot, syn] = [0, 1].map((i) => history?.memoryAt(i))
  expect([1, 2, 200].map((pfn) => boot?.page(pfn))).toEqual([1, 2, 200].map((pfn) => markedPage(pfn)))
  expect(syn?.page(2)).toEqual(markedPage(2, 1))
  expect(syn?.page(200)).toEqual(new Uint8Array(4096))
  expect(Buffer.from(history?.section('scenario') ?? []).toString()).toBe('name: golden\n')
})

test('version 1 is written, byte for byte', () => {
  const path = join(folder, 'now.cdump')
  writeCdump(path, INPUT)
  expect(readFileSync(path).equals(readFileSync(golden))).toBe(true)
})
