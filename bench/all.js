/** `npm run bench`: every measurement, into bench/results.md; `node bench/all.js real sparse` measures those again and leaves the others. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { native, simulated } from './handshakes.js'
import { median } from './measure.js'
import { realPs } from './real.js'
import { recordings } from './scenarios.js'
import { snapshotCosts } from './snapshots.js'
import { sparseOpening } from './sparse.js'
import { startup } from './startup.js'
import { keyToRepaint } from './tui.js'

const folder = mkdtempSync(join(tmpdir(), 'coredrill-bench-'))
const lines = []
const say = (text) => {
  lines.push(text)
  console.log(text)
}

/** Title of each part, by the word that asks for it alone. */
const PARTS = { real: 'Real vmcores', sparse: 'A sparse 256 GiB', tui: 'The browser' }
const results = new URL('results.md', import.meta.url)
const wanted = process.argv.slice(2)

try {
  if (wanted.length === 0) await everything()
  else await again(wanted)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function everything() {
  heading()
  await handshakes()
  snapshots()
  const dumps = scenarios()
  const dump = dumps.find(({ name }) => name.startsWith('lsm-recvmsg')) ?? dumps[0]
  cold(dump)
  real()
  sparse(dump.output)
  await tui(dump.output)
  writeFileSync(results, `${lines.join('\n')}\n`)
}

/** Measure some parts again; the others stay in the file as they are. */
async function again(names) {
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name))
  if (unknown !== undefined) throw new Error(`no part ${unknown}: there are ${Object.keys(PARTS).join(', ')}`)
  let text = readFileSync(results, 'utf8').trimEnd()
  for (const name of names) {
    lines.length = 0
    if (name === 'real') real()
    else {
      const [dump] = recordings(folder, (file) => file.startsWith('lsm-recvmsg'))
      if (name === 'tui') await tui(dump.output)
      else sparse(dump.output)
    }
    if (!text.includes(`\n## ${PARTS[name]}\n`)) text += `\n\n## ${PARTS[name]}\n`
    const before = text.split(`\n## ${PARTS[name]}\n`)[0].trimEnd()
    const after = /\n## .*/s.exec(text.slice(before.length + 4))?.[0] ?? ''
    text = `${before}\n\n${lines.join('\n').trimEnd()}\n${after}`.trimEnd()
  }
  writeFileSync(results, `${text}\n`)
}

function load() {
  return `Load when it began: ${loadavg()[0]?.toFixed(1)}.`
}

function real() {
  say(`\n## ${PARTS.real}\n`)
  const dumps = realPs(folder)
  if (dumps.length === 0) {
    say('Skipped: COREDRILL_REAL names no folder with dumps.\n')
    return
  }
  say(
    '`ps` from nothing on a live guest of 144 MiB. crash and drgn have a vmlinux of 633 MB besides, coredrill has nothing.',
  )
  say(`The programs take turns. ${load()}\n`)
  say('| dump | | ms | MB | tasks |')
  say('| --- | --- | ---: | ---: | ---: |')
  for (const { dump, bytes, rows } of dumps)
    for (const { name, missing, ms, mb, tasks } of rows) {
      const figures = missing ? `skipped: ${missing} | | ` : `${ms.toFixed(0)} | ${mb.toFixed(0)} | ${tasks}`
      say(`| ${dump}, ${(bytes / 1e6).toFixed(0)} MB | ${name} | ${figures} |`)
    }
  say('')
  for (const { dump, rows } of dumps) say(goals(dump, rows))
}

/** The goals that what ran can tell of. */
function goals(dump, [first, later, drgn, crash]) {
  const found = [`${Math.max(first.mb, later.mb).toFixed(0)} MB (goal: under 120)`]
  if (!crash.missing)
    found.push(`${(crash.ms / first.ms).toFixed(0)} times as fast as crash at first (goal: 20)`)
  if (!drgn.missing) {
    found.push(`${(drgn.ms / first.ms).toFixed(1)} times as fast as drgn at first (goal: 1)`)
    found.push(`${(drgn.ms / later.ms).toFixed(1)} times later (goal: 2)`)
  }
  return `- ${dump}: ${found.join('; ')}.`
}

function sparse(dump) {
  say(`\n## ${PARTS.sparse}\n`)
  const { small, large } = sparseOpening(folder, dump)
  say(
    `\`ps\` on one kernel's memory as an ELF vmcore, and on the same with 64 more segments, 256 GiB in all. ${load()}\n`,
  )
  say('| | ms | MB |')
  say('| --- | ---: | ---: |')
  say(`| small | ${small.ms.toFixed(0)} | ${small.mb.toFixed(0)} |`)
  say(`| 256 GiB | ${large.ms.toFixed(0)} | ${large.mb.toFixed(0)} |`)
  const within = large.ms <= small.ms * 1.2 && large.mb <= small.mb * 1.2
  say(`\nGoal: within 20 %. ${within ? 'Reached.' : 'Not reached.'}`)
}

/** From a key to the painted screen, and what runs between two keys. */
async function tui(dump) {
  say(`\n## ${PARTS.tui}\n`)
  say(
    `A kernel with 100,000 tasks: milliseconds from a key to the repainted screen, and the longest slice of work between two keys. ${load()}\n`,
  )
  say('| screen | | ms | at worst | slice |')
  say('| --- | --- | ---: | ---: | ---: |')
  const rows = await keyToRepaint(dump)
  for (const { size, what, ms, worst, slice } of rows) {
    const figures = [ms, worst, slice].map((each) => each.toFixed(1)).join(' | ')
    say(`| ${size.columns}×${size.rows} | ${what} | ${figures} |`)
  }
  const slowest = Math.max(...rows.map(({ ms }) => ms))
  say(`\nGoal: under 50 ms. ${slowest < 50 ? 'Reached' : 'Not reached'}: at most ${slowest.toFixed(1)} ms.`)
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
