/** `npm run bench`: every measurement, into bench/results.md. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { native, simulated } from './handshakes.js'
import { median } from './measure.js'
import { recordings } from './scenarios.js'
import { snapshotCosts } from './snapshots.js'
import { startup } from './startup.js'

const folder = mkdtempSync(join(tmpdir(), 'coredrill-bench-'))
const lines = []
const say = (text) => {
  lines.push(text)
  console.log(text)
}

try {
  heading()
  await handshakes()
  snapshots()
  const dumps = scenarios()
  cold(dumps.find(({ name }) => name.startsWith('lsm-recvmsg')) ?? dumps[0])
  writeFileSync(new URL('results.md', import.meta.url), `${lines.join('\n')}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function heading() {
  const [processor] = cpus()
  say('# Measurements\n')
  say('Written by `npm run bench`. Each figure is the median of several runs, one after the other.\n')
  say(
    `- ${cpus().length} × ${processor?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${release()}`,
  )
  say(`- node ${process.version}, ${new Date().toISOString().slice(0, 10)}`)
  say(
    `- load when it began: ${loadavg()[0]?.toFixed(1)} (other work on the machine makes every figure worse)\n`,
  )
}

async function handshakes() {
  const { rates, writes } = simulated()
  const real = await native()
  const ours = median(rates)
  const theirs = median(real.rates)
  say('## Handshakes\n')
  say('One process listens and accepts, another connects; both close. Over `lo`, the write journal on.\n')
  say('| | connections a second |')
  say('| --- | ---: |')
  say(`| simulated kernel | ${ours.toFixed(0)} (best ${Math.max(...rates).toFixed(0)}) |`)
  say(`| this machine's kernel, by ${real.how} | ${theirs.toFixed(0)} |\n`)
  say(`A simulated connection, both its ends, is ${writes.toFixed(0)} journalled stores.`)
  say(
    `Goal: at least the machine's own rate. ${ours >= theirs ? 'Reached.' : `Not reached: 1/${(theirs / ours).toFixed(0)} of it.`}\n`,
  )
}

function snapshots() {
  say('## Snapshots\n')
  say('| of 64 MiB changed | pages | ms | best |')
  say('| ---: | ---: | ---: | ---: |')
  const costs = snapshotCosts(64)
  for (const { share, dirty, ms, best } of costs) {
    say(`| ${(share * 100).toFixed(1)} % | ${dirty} | ${ms.toFixed(2)} | ${best.toFixed(2)} |`)
  }
  const one = costs.find(({ share }) => share === 0.01)
  say(`\nGoal: 1 % under 1 ms. ${one !== undefined && one.ms < 1 ? 'Reached.' : 'Not reached.'}\n`)
}

function scenarios() {
  say('## Recording\n')
  say('`coredrill record SCENARIO --no-expect`, with the start of node.\n')
  say('| scenario | seconds | dump |')
  say('| --- | ---: | ---: |')
  const dumps = recordings(folder)
  for (const { name, ms, bytes } of dumps) {
    say(`| ${name} | ${(ms / 1000).toFixed(1)} | ${(bytes / 1e6).toFixed(1)} MB |`)
  }
  say('')
  return dumps
}

function cold({ name, output }) {
  say('## Start\n')
  say(`On the dump of ${name}.\n`)
  say('| | ms | times `node -e 0` |')
  say('| --- | ---: | ---: |')
  const env = { ...process.env, COREDRILL_CORE: output }
  let ps = Infinity
  for (const words of [['ps'], ['net', '-s', '1'], ['log']]) {
    const { empty, command } = startup(words, env)
    if (words[0] === 'ps') {
      say(`| \`node -e 0\` | ${empty.toFixed(0)} | 1 |`)
      ps = command / empty
    }
    say(`| \`coredrill ${words.join(' ')}\` | ${command.toFixed(0)} | ${(command / empty).toFixed(1)} |`)
  }
  say(`\nGoal: \`ps\` at most 4 times. ${ps <= 4 ? 'Reached.' : 'Not reached.'}`)
}
