/** From a key to the repainted screen, on a kernel with 100,000 tasks: `node bench/tui.js DUMP`. */

import { pathToFileURL } from 'node:url'
import { manyTasks } from './many-tasks.js'
import { median } from './measure.js'

const SIZES = [
  { columns: 80, rows: 24 },
  { columns: 200, rows: 60 },
]
const TASKS = 100_000
const REPEATS = 6
const host = { quit() {}, suspend() {}, redraw() {}, copy() {} }

/** What is done, and the keys that do it; each key is measured by itself. */
const WALK = [
  ['one row down', ['down']],
  ['a page down', ['pagedown']],
  ['to the last task and back', ['end', 'home']],
  ['into the structure', ['right', 'down', 'left', 'backspace']],
  ['filter by pid as you type', ['/', '9', '9', '9', '9', 'enter', 'escape']],
  ['filter by name, nothing fits', ['/', 'n', 'o', 'n', 'e', 'enter', 'escape']],
  ['open files', ['tab', 'S-tab']],
  ['sockets and back', ['2', '1']],
]

/**
 * Milliseconds from a key to the painted screen, and the longest slice of work between two keys.
 * @param {string} dump  path of a recorded dump
 */
export async function keyToRepaint(dump) {
  const { openTargetSync, targetOf } = await import('../dist/src/target/target.js')
  const { Browser } = await import('../dist/src/tui/driver.js')
  const { Dump } = await import('../dist/src/tui/dump.js')
  const { target } = manyTasks(openTargetSync(dump), targetOf, TASKS)
  const rows = []
  for (const size of SIZES) {
    const browser = new Browser(new Dump(target, { name: 'bench', ascii: false }), size, host)
    browser.lines()
    await browser.settle()
    for (const [what, keys] of WALK) rows.push({ size, what, ...measured(browser, keys) })
  }
  return rows
}

function measured(browser, keys) {
  const times = []
  let slice = 0
  for (let i = 0; i < REPEATS; i++) {
    for (const name of keys) {
      const start = performance.now()
      browser.handle({ type: 'key', name, ch: name.length === 1 ? name : undefined })
      browser.lines()
      times.push(performance.now() - start)
      slice = Math.max(slice, work(browser))
    }
  }
  return { ms: median(times), worst: Math.max(...times), slice }
}

/** Do what is left, in the slices the program takes between keys; @returns the longest. */
function work(browser) {
  let longest = 0
  for (let left = 12; left > 0 && browser.pending; left--) {
    const start = performance.now()
    browser.work()
    longest = Math.max(longest, performance.now() - start)
  }
  return longest
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { size, what, ms, worst, slice } of await keyToRepaint(process.argv[2])) {
    console.log(
      `${size.columns}x${size.rows} ${what}: ${ms.toFixed(1)} ms, at worst ${worst.toFixed(1)}; a slice between keys ${slice.toFixed(1)}`,
    )
  }
}
