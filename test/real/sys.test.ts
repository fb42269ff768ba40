import { describe, expect, test } from 'vitest'
import { hasReal } from './dumps.ts'
import { testParity } from './parity-suite.ts'
import { ours, select } from './parity.ts'

const LINES = 'no memory holds the line numbers of system calls'

testParity('sys', {
  sys: 'names its own files',
  'sys_-c': LINES,
  'sys_-c_read': LINES,
  'sys_-c_tcp': LINES,
})

/** Of two names for one address crash shows the one it met last: `__do_sys_pause` in one recording only. */
const sameName = (line: string): string => line.replace('__do_sys_pause', '__x64_sys_pause')

describe.skipIf(!hasReal)('sys on real dumps, without what it cannot know', () => {
  test.each(['dev', 'panic'] as const)('%s: everything after the files', async (dump) => {
    const entry = select(dump, ['sys'], /^sys$/)[0]
    if (entry === undefined) throw new Error('no recording of sys')
    const after = (text: string): string[] => text.split('\n').slice(2)
    expect(after(await ours(entry))).toEqual(after(entry.expected()))
  })

  test.each(['dev', 'panic'] as const)('%s: system calls by number and name', async (dump) => {
    for (const entry of select(dump, ['sys'], /^sys -c/)) {
      const names = (text: string): string[] =>
        text.split('\n').map((l) => sameName(/^ *\d+ {2}\S+/.exec(l)?.[0] ?? ''))
      expect(names(await ours(entry))).toEqual(names(entry.expected()))
    }
  })
})
