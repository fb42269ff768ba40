/** The scenarios that ship are scenarios. */

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readScenario } from '../../../src/scenario/record-file.ts'

const folder = new URL('../../../scenarios/', import.meta.url)
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))

test.each(files)('%s is well-formed, titled, explained, and expects something', (file) => {
  const scenario = readScenario(fileURLToPath(new URL(file, folder)))
  expect(scenario.title).not.toBe('')
  expect(scenario.notes.length).toBeGreaterThan(100)
  expect(scenario.expect.length).toBeGreaterThan(3)
})
