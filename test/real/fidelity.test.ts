/** docs/fidelity.md lists the members in which a simulated connection differs from the real one: these, and no more. */

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Difference } from './fidelity.ts'
import { connectionDifferences, DATAGRAM_SOCKETS, datagramDifferences } from './fidelity-machines.ts'
import { hasReal } from './dumps.ts'

const page = readFileSync(new URL('../../docs/fidelity.md', import.meta.url), 'utf8')
const [, section = ''] = /<!-- differences -->(.*)<!-- \/differences -->/s.exec(page) ?? []
const listed = [...section.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, member = '']) => member)

describe.skipIf(!hasReal)('an established server connection, beside the real one', () => {
  let differences: Difference[]
  beforeAll(async () => {
    differences = await connectionDifferences()
  }, 120_000)

  test('differs only in what docs/fidelity.md gives a reason for', () => {
    expect(differences.filter(({ member }) => !listed.includes(member))).toEqual([])
  })

  test('differs in all that docs/fidelity.md lists', () => {
    const found = differences.map(({ member }) => member)
    expect(listed.filter((member) => !found.includes(member))).toEqual([])
  })
})

const [, datagrams = ''] = /<!-- datagrams -->(.*)<!-- \/datagrams -->/s.exec(page) ?? []
const excused = [...datagrams.matchAll(/^\| `([^`]+)` +\| ([^|]+?) +\|/gm)].map(([, member, of]) => ({
  member,
  of,
}))

describe.skipIf(!hasReal)('datagram and UNIX sockets, beside the real ones', () => {
  let differences: ReadonlyMap<string, Difference[]>
  beforeAll(async () => {
    differences = await datagramDifferences()
  }, 120_000)

  test.each(DATAGRAM_SOCKETS.map(({ what }) => what))(
    '%s: differs in what docs/fidelity.md lists, no more, no less',
    (what) => {
      const found = (differences.get(what) ?? []).map(({ member }) => member)
      const listed = excused.filter(({ of }) => of === 'all' || of === what).map(({ member }) => member)
      expect(found.sort()).toEqual(listed.sort())
    },
  )
})
