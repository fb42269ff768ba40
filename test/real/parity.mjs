#!/usr/bin/env node
// How many of genuine crash's recorded outputs do our commands reproduce, and where do they differ?
//
//   npm run parity -- [--dump dev|panic|all] [--diffs N] [--lines N] [--slow MS] [--match REGEXP] [COMMAND…]
//
// COREDRILL_REAL names the folder with the dumps. Without COMMAND, every recorded command is given.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dump: { type: 'string', default: 'dev' },
    diffs: { type: 'string', default: '10' },
    lines: { type: 'string', default: '6' },
    slow: { type: 'string', default: '2000' },
    match: { type: 'string' },
  },
})
if (!process.env.COREDRILL_REAL) {
  console.error('parity: COREDRILL_REAL is not set: it names the folder with the real dumps')
  process.exit(2)
}
const wanted = {
  dumps: values.dump === 'all' ? ['dev', 'panic'] : [values.dump],
  names: positionals,
  pattern: values.match,
  diffs: Number(values.diffs),
  lines: Number(values.lines),
  slow: Number(values.slow),
}
const root = fileURLToPath(new URL('../..', import.meta.url))
const { status } = spawnSync(
  'npx',
  ['vitest', 'run', '--config', 'test/real/parity.config.ts', '--disableConsoleIntercept', '--silent=false'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, PARITY: JSON.stringify(wanted) } },
)
process.exit(status ?? 1)
