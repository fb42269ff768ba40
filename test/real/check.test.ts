/** `check` on the dumps of real kernels: nothing was hooked there, and nothing is claimed. */

import { describe, expect, test } from 'vitest'
import { runChecks } from '../../src/explain/check/run.ts'
import { openTargetSync } from '../../src/target/target.ts'
import { dumpPath, hasReal } from './dumps.ts'

describe.skipIf(!hasReal)('check on real dumps', () => {
  test.each(['dev', 'panic'] as const)('%s: every table is looked at, nothing found', (name) => {
    const target = openTargetSync(dumpPath(name))
    const { entries, checked, skipped, problems } = runChecks(target)
    expect(entries.filter(({ found }) => found)).toEqual([])
    expect(problems).toEqual([])
    expect(skipped).toEqual([])
    const count = (check: string): number => entries.filter((entry) => entry.check === check).length
    expect(checked.map((check) => [check, count(check) > 0])).toEqual(
      checked.map((check) => [check, check !== 'kprobes' && check !== 'ftrace']),
    )
    // each call by its number's name, whatever the kernel calls its handler
    const calls = entries.filter(({ check }) => check === 'syscalls')
    expect(calls).toHaveLength(451)
    expect(calls.filter(({ expected }) => expected === null).length).toBeLessThan(20)
    target.close()
  })
})
