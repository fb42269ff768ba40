/** How long each shipped scenario takes to record, from nothing, and how large its dump is. */

import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median, timed } from './measure.js'

const RUNS = 3
const program = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const folder = fileURLToPath(new URL('../scenarios', import.meta.url))

/** Record every scenario (that is wanted) into a folder. @param {string} into */
export function recordings(into, isWanted = (_name) => true) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml') && isWanted(name))
  return names.sort().map((name) => {
    const output = join(into, name.replace(/\.yaml$/, '.cdump'))
    const times = Array.from({ length: RUNS }, () => timed(() => record(join(folder, name), output)))
    return { name, output, ms: median(times), bytes: statSync(output).size }
  })
}

function record(scenario, output) {
  const args = [program, 'record', scenario, '-o', output, '--no-expect']
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) process.exit(status ?? 1)
}
