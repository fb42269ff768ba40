/**
 * Dumps of other kernels and machines than those our recordings come from: one CPU, other names, other addresses. What
 * genuine crash printed is an example of a rule, and this is another.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTargetSync, type Target } from '../../src/target/target.ts'
import { moreDumps, moreEntries, type MoreDump } from './more.ts'
import { answerOf, firstDifference } from './parity.ts'

const COMMANDS =
  'ps files foreach net struct union whatis p log mod mount bt runq task set sys vm sig list tree rd vtop ptov pte dev'

/** Recorded commands that differ, and why; see differences.md. */
const DIFFERENT: readonly (readonly [command: RegExp, why: string])[] = [
  [/^(bt -l|sys -c|sys -i config)\b/, 'source lines are known to DWARF only'],
  [/^struct (-o )?(xa_node|neighbour)$/, 'arrays without length stand in DWARF only'],
  [/^set -v$/, 'the paths of the files'],
  [/^task( init_task)?$/, 'the context is that of the recording'],
]

/** Of a task whose stack is freed crash cannot `set` the context: gdb would have to find its registers there. */
const CRASH_FAILED = /^set: read of stack at 0 failed$/m

const withoutPaths = (text: string): string => text.replaceAll(/^ +(KERNEL|DUMPFILE): .*\n/gm, '')
const skipped = (command: string): boolean => DIFFERENT.some(([pattern]) => pattern.test(command))

describe.skipIf(moreDumps().length === 0)('dumps of COREDRILL_REAL_MORE', () => {
  describe.each(moreDumps().map((dump) => [dump.name, dump] as const))('%s', (_, dump: MoreDump) => {
    let target: Target
    const zone = process.env['TZ']
    beforeAll(() => {
      process.env['TZ'] = 'UTC'
      target = openTargetSync(dump.path)
    })
    afterAll(() => {
      target.close()
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    })

    test.each(COMMANDS.split(' '))('%s', { timeout: 120_000 }, async (name) => {
      const different: string[] = []
      const entries = moreEntries(dump)
      // after it crash had the types of DWARF
      const loaded = entries.findIndex(({ command }) => command.startsWith('mod -s'))
      for (const entry of loaded < 0 ? entries : entries.slice(0, loaded)) {
        if (/^\S+/.exec(entry.command)?.[0] !== name || skipped(entry.command)) continue
        const answer = entry.expected()
        if (CRASH_FAILED.test(answer)) continue
        const expected = withoutPaths(answer)
        const found = withoutPaths(await answerOf(target, { ...entry, answer }))
        if (found !== expected) different.push(`${entry.command}\n${firstDifference({ expected, found })}`)
      }
      expect(different).toEqual([])
    })
  })
})
