/** What a snapshot costs against the pages that changed since the one before: `node bench/snapshots.js`. */

import { pathToFileURL } from 'node:url'
import { GuestMemory } from '../dist/src/memory/guest-memory.js'
import { median, timed } from './measure.js'

const PAGE = 4096
const BASE = -0x7780_0000_0000 // ffff888000000000
const SHARES = [0.001, 0.01, 0.1, 1]
const REPEATS = 25

/** Milliseconds of one snapshot, for each share of the memory's pages. @param {number} megabytes */
export function snapshotCosts(megabytes) {
  const size = megabytes << 20
  const mem = new GuestMemory(size, 8)
  mem.journal.enabled = false
  mem.addWindow({ va: BASE, size, phys: 0 })
  for (let at = 0; at < size; at += PAGE) mem.setU64(BASE + at, 1n)
  mem.takeDelta()
  const pages = size / PAGE
  return SHARES.map((share) => {
    const dirty = Math.round(pages * share)
    const times = Array.from({ length: REPEATS }, () => {
      for (let i = 0; i < dirty; i++) mem.setU32(BASE + Math.floor((i * pages) / dirty) * PAGE, i)
      return timed(() => {
        if (mem.takeDelta().pages.size !== dirty) throw new Error('not every changed page was taken')
      })
    })
    return { share, dirty, ms: median(times), best: Math.min(...times) }
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { share, dirty, ms } of snapshotCosts(64)) {
    console.log(`${(share * 100).toFixed(1)} % of 64 MiB (${dirty} pages): ${ms.toFixed(2)} ms`)
  }
}
