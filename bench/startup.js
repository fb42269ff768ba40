/** How long a command takes from nothing, in starts of an empty node: `COREDRILL_CORE=dump node bench/startup.js [command …]`. */

import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { median, timed } from './measure.js'

const RUNS = 15
const program = fileURLToPath(new URL('../bin/run.js', import.meta.url))

/**
 * Milliseconds of `node -e 0` and of a command, taken in turns so that both see the same load.
 * @param {string[]} words
 */
export function startup(words, env = process.env) {
  const empty = []
  const command = []
  for (let i = 0; i < RUNS; i++) {
    empty.push(timed(() => run(['-e', '0'], env)))
    command.push(timed(() => run([program, ...words], env)))
  }
  return { empty: median(empty), command: median(command) }
}

function run(args, env) {
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'], env })
  if (status !== 0) process.exit(status ?? 1)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const words = process.argv.length > 2 ? process.argv.slice(2) : ['ps']
  const { empty, command } = startup(words)
  console.log(`node -e 0: ${empty.toFixed(0)} ms`)
  console.log(
    `coredrill ${words.join(' ')}: ${command.toFixed(0)} ms, ${(command / empty).toFixed(1)} times (goal: 4)`,
  )
}
