#!/usr/bin/env node
// Which members of a simulated connection differ from the real machine's? `npm run fidelity`; see docs/fidelity.md.
//
// COREDRILL_REAL names the folder with the real dump.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

if (!process.env.COREDRILL_REAL) {
  console.error('fidelity: COREDRILL_REAL is not set: it names the folder with the real dump')
  process.exit(2)
}
const root = fileURLToPath(new URL('../..', import.meta.url))
const config = ['--config', 'test/real/fidelity.config.ts']
const { status } = spawnSync(
  'npx',
  ['vitest', 'run', ...config, '--disableConsoleIntercept', '--silent=false'],
  {
    cwd: root,
    stdio: 'inherit',
  },
)
process.exit(status ?? 1)
