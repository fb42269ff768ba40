/**
 * Every crash command on dumps whose lists, trees, tables and counts were damaged where commands read them: each
 * ends within a bounded number of reads, in an answer or in clear lines. COREDRILL_FUZZ=N gives N cases.
 */

import { beforeAll, expect, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { CommandSet } from '../../../src/crash/command-set.ts'
import { Changes, counted, Damageable, placesOf, type Place } from '../../support/damage.ts'
import { inspectorLines } from '../../support/inspector-lines.ts'
import { fuzzCases } from '../../support/mutate.ts'
import { crash, recordedTarget } from '../../support/recorded.ts'

/** Words a damaged case may read beyond what the good one does: the walks' own limits are far below. */
const WORK_MAX = 20_000_000
const TEXT_MAX = 64 * 1024 * 1024

interface Line {
  readonly text: string
  readonly places: readonly Place[]
}

let dump: Damageable
const lines: Line[] = []

beforeAll(async () => {
  dump = new Damageable(recordedTarget('handshake'))
  for (const text of inspectorLines(dump.good)) {
    // a target of its own, for nothing of it is remembered yet
    const fresh = dump.over(new Map())
    lines.push({ text, places: await placesOf(fresh, () => crash(fresh, text)) })
  }
}, 120_000)

test('every crash command has a line', async () => {
  const asked = new Set(inspectorLines(dump.good).map((line) => line.split(' ')[0]))
  const names = (await new CommandSet().all()).map(([name]) => name)
  expect(names.filter((name) => !asked.has(name))).toEqual([])
})

async function endsWell(seed: string, changes: Changes, asked: readonly string[]): Promise<void> {
  const target = dump.over(changes.pages)
  for (const line of asked) {
    let text = ''
    const about = `${seed}: ${line} after ${changes.log.join(', ')}`
    await counted(WORK_MAX, async () => {
      text = await crash(target, line)
    })
    if (/internal error|^ +at .*:\d+:\d+\)?$/m.test(text)) throw new Error(`${about}: ${problem(text)}`)
    expect(text.length, about).toBeLessThan(TEXT_MAX)
  }
}

const problem = (text: string): string =>
  text.split('\n').find((line) => /internal error|^ +at /.test(line)) ?? ''

const pick = <T>(from: readonly T[], random: Random): T => from[random.below(from.length)] as T

test('damaged pointers, nodes and counts', async () => {
  const interesting = lines.filter(({ places }) => places.length > 0)
  for (let i = 0; i < fuzzCases(150); i++) {
    const random = new Random(`damage ${i}`)
    const { text, places } = pick(interesting, random)
    const changes = new Changes(dump.good)
    for (let n = 1 + random.below(6); n > 0; n--) changes.damage(pick(places, random), places, random)
    await endsWell(`damage ${i}`, changes, [text, pick(lines, random).text])
  }
}, 36_000_000)

test('page tables that lead to themselves, elsewhere or nowhere', async () => {
  const interesting = lines.filter(({ places }) => places.length > 0)
  for (let i = 0; i < fuzzCases(60); i++) {
    const random = new Random(`tables ${i}`)
    const { text, places } = pick(interesting, random)
    const changes = new Changes(dump.good)
    for (let n = 1 + random.below(3); n > 0; n--) changes.damageTable(pick(places, random).va, random)
    await endsWell(`tables ${i}`, changes, [text, pick(lines, random).text])
  }
}, 36_000_000)
