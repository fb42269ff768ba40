/** The scenarios that ship, run as tests: `coredrill test scenarios`, one after the other. */

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { answerLine } from '../src/crash/answer-line.ts'
import { testScenario } from '../src/regress/run-one.ts'

const folder = fileURLToPath(new URL('../scenarios/', import.meta.url))
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))

test.each(files)('%s comes out as its golden record has it', async (file) => {
  const { outcome, problems } = await testScenario(`${folder}${file}`, { update: false }, answerLine)
  if (outcome !== 'passed')
    expect.fail(`${outcome}: ${problems || 'coredrill test --update writes its golden record'}`)
})
