/** One test for each dump: every recorded answer of a command is ours, but for differences that are named. */

import { describe, expect, test } from 'vitest'
import { hasReal, type DumpName } from './dumps.ts'
import { compare, firstDifference, select } from './parity.ts'

const DUMPS: readonly DumpName[] = ['dev', 'panic']

/**
 * @param name the command
 * @param differences recorded commands whose answers differ on purpose, with the reason; each must still differ.
 * `panic/FILE` is that of one dump only.
 */
export function testParity(name: string, differences: Readonly<Record<string, string>> = {}): void {
  describe.skipIf(!hasReal)(`${name} on real dumps`, () => {
    test.each(DUMPS)('%s: what genuine crash printed', async (dump) => {
      // the recordings were made in this zone
      process.env['TZ'] = 'UTC'
      const entries = select(dump, [name])
      expect(entries.length).toBeGreaterThan(0)
      const expected = (file: string): boolean => file in differences || `${dump}/${file}` in differences
      const different: string[] = []
      const named: string[] = []
      for (const entry of entries) {
        const result = await compare(entry)
        if (result.same) continue
        if (expected(entry.file)) named.push(entry.file)
        else different.push(`${entry.command}\n${firstDifference(result)}`)
      }
      expect(different).toEqual([])
      const listed = entries.map(({ file }) => file).filter(expected)
      expect(named).toEqual(listed)
    })
  })
}
