import { describe, expect, test } from 'vitest'
import { CommandSet } from '../../src/crash/command-set.ts'
import { hasReal } from './dumps.ts'
import { compare, firstDifference, select } from './parity.ts'

/** What the command that is given for each task answers differently from crash. */
const DIFFERENCES = new Set(['foreach_user_vtop_400000'])

describe.skipIf(!hasReal)('foreach on real dumps', () => {
  test.each(['dev', 'panic'] as const)('%s: what genuine crash printed', async (dump) => {
    const commands = new CommandSet()
    const different: string[] = []
    let compared = 0
    for (const entry of select(dump, ['foreach'])) {
      const keyword = entry.command
        .split(' ')
        .find((word) => /^(bt|vm|task|set|files|net|vtop|sig|ps)$/.test(word))
      if (DIFFERENCES.has(entry.file)) continue
      if (keyword !== undefined && (await commands.find(keyword)) === undefined) continue
      const result = await compare(entry)
      compared++
      if (!result.same) different.push(`${entry.command}\n${firstDifference(result)}`)
    }
    expect(different).toEqual([])
    expect(compared).toBeGreaterThan(15)
  })
})
