import { hasReal } from './dumps.ts'
import { testParity } from './parity-suite.ts'
import { select } from './parity.ts'

const LINES = 'source files and lines are in debug information only'

/** Recordings that name a file and a line. */
const withLines = hasReal
  ? (['dev', 'panic'] as const).flatMap((dump) =>
      select(dump, ['kmem']).filter((entry) => /\.[cShx]+: \d+$/m.test(entry.expected())),
    )
  : []

testParity('kmem', {
  ...Object.fromEntries(withLines.map(({ dump, file }) => [`${dump}/${file}`, LINES])),
})
