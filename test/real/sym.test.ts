import { hasReal } from './dumps.ts'
import { testParity } from './parity-suite.ts'
import { select } from './parity.ts'

const LINES = 'source files and lines are in debug information only'
const TABLE =
  "the kernel's own table lacks symbols of its ELF file (__crc_…) and which per-CPU ones are local"

/** Recordings that name a file and a line. */
const withLines = hasReal
  ? (['dev', 'panic'] as const).flatMap((dump) =>
      select(dump, ['sym']).filter((entry) => /\.[cShx]+: \d+$/m.test(entry.expected())),
    )
  : []

testParity('sym', {
  'sym_-q_tcp_v4': TABLE,
  'sym_-l': TABLE,
  ...Object.fromEntries(withLines.map(({ dump, file }) => [`${dump}/${file}`, LINES])),
})
