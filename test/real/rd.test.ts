import { hasReal } from './dumps.ts'
import { testParity } from './parity-suite.ts'
import { select } from './parity.ts'

const EXCLUDED = 'the recordings read a dump with user pages, the one kept here has them left out'

/** Recordings of user memory that was there; the vDSO's page belongs to the kernel and is kept. */
const userPages = hasReal
  ? select('panic', ['rd']).filter(
      (entry) => entry.pid !== undefined && /^ +(?!7ffc)[0-9a-f]{1,12}:/.test(entry.expected()),
    )
  : []

testParity('rd', Object.fromEntries(userPages.map(({ file }) => [`panic/${file}`, EXCLUDED])))
