/** `npm run fidelity`: the members of a simulated connection that differ from the real one; see fidelity.mjs. */

import { test } from 'vitest'
import { connectionDifferences } from './fidelity-machines.ts'

test('fidelity', { timeout: 600_000 }, async () => {
  const differences = await connectionDifferences()
  for (const { member, simulated, real } of differences) {
    process.stdout.write(`${member}\n    simulated ${simulated}\n    real      ${real}\n`)
  }
  process.stdout.write(`${differences.length} members differ\n`)
})
