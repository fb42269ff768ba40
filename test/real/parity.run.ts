/** `npm run parity`: a report of {@link compare} over the recorded commands; see parity.mjs. */

import { expect, test } from 'vitest'
import { compare, firstDifference, select } from './parity.ts'
import type { DumpName } from './dumps.ts'

interface Wanted {
  dumps: DumpName[]
  names: string[]
  pattern?: string
  diffs: number
  lines: number
  slow: number
}

test('parity', { timeout: 3_600_000 }, async () => {
  const wanted = JSON.parse(process.env['PARITY'] ?? '{}') as Wanted
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const pattern = wanted.pattern === undefined ? undefined : new RegExp(wanted.pattern)
  for (const dump of wanted.dumps) {
    const counts = new Map<string, [same: number, all: number]>()
    let diffs = 0
    for (const entry of select(dump, wanted.names, pattern)) {
      const result = await compare(entry)
      const name = /^[\w*]+/.exec(entry.command)?.[0] ?? ''
      const count = counts.get(name) ?? [0, 0]
      counts.set(name, [count[0] + (result.same ? 1 : 0), count[1] + 1])
      if (result.milliseconds > wanted.slow)
        print(`slow: ${entry.command}: ${Math.round(result.milliseconds)} ms`)
      if (result.same || diffs++ >= wanted.diffs) continue
      const context = entry.pid === undefined ? '' : ` (pid ${entry.pid})`
      print(`\n${entry.command}${context}  [${entry.file}]\n${firstDifference(result, wanted.lines)}`)
    }
    print(`\n${dump}`)
    for (const [name, [same, all]] of counts) print(`  ${name.padEnd(16)} ${same}/${all}`)
    const total = [...counts.values()].reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0])
    print(`  ${'total'.padEnd(16)} ${total[0]}/${total[1]}`)
  }
  expect(true).toBe(true)
})
