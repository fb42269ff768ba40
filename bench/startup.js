/** How long a command takes from nothing, in starts of an empty node: `COREDRILL_CORE=vmcore node bench/startup.js [command …]`. */

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const RUNS = 15
const GOAL = 4
const program = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const words = process.argv.length > 2 ? process.argv.slice(2) : ['ps']

const empty = median(['-e', '0'])
const command = median([program, ...words])
console.log(`node -e 0: ${empty.toFixed(0)} ms`)
console.log(
  `coredrill ${words.join(' ')}: ${command.toFixed(0)} ms, ${(command / empty).toFixed(1)} times (goal: ${GOAL})`,
)

function median(args) {
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now()
    const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    if (status !== 0) process.exit(status ?? 1)
    return performance.now() - start
  })
  return times.sort((a, b) => a - b)[RUNS >> 1]
}
