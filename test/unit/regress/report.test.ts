/** Results in each form: what a machine reads must hold whatever a scenario is called or prints. */

import { expect, test } from 'vitest'
import { reportOf, summaryText } from '../../../src/regress/report.ts'
import type { TestResult } from '../../../src/regress/run-one.ts'

const base = { title: '', expectations: 3, problems: '', dump: undefined }
const RESULTS: readonly TestResult[] = [
  { ...base, file: 'a.yaml', outcome: 'passed' },
  { ...base, file: 'b#1.yaml', outcome: 'failed', problems: 'x is <2> & "3"\nsecond \u0007 line\n', dump: 'kept/b.cdump' },
  { ...base, file: 'c.yaml', outcome: 'broken', problems: 'c.yaml:1:1: no\n' },
  { ...base, file: 'd.yaml', outcome: 'new' },
] // prettier-ignore

test('readable: a line each, problems indented, a summary', () => {
  const text = reportOf('readable', RESULTS)
  expect(text).toMatch(/^passed {2}a\.yaml \(3 expectations\)\nfailed {2}b#1\.yaml .*\n {4}x is/)
  expect(text).toContain('    its dump: coredrill crash kept/b.cdump\n')
  expect(summaryText(RESULTS)).toBe('4 scenarios: 1 passed, 1 new, 1 failed, 1 broken\n')
})

test('TAP: a plan, a point each, a name cannot become a directive', () => {
  const lines = reportOf('tap', RESULTS).split('\n')
  expect(lines.slice(0, 3)).toEqual(['TAP version 14', '1..4', 'ok 1 - a.yaml'])
  expect(lines).toContain('not ok 2 - b\\#1.yaml')
  expect(lines.filter((line) => /^(not )?ok /.test(line))).toHaveLength(4)
})

test('JUnit: counts, and text that stays text', () => {
  const xml = reportOf('junit', RESULTS)
  expect(xml).toContain('<testsuite name="coredrill" tests="4" failures="1" errors="1">')
  expect(xml).toContain('message="x is &lt;2&gt; &amp; &quot;3&quot;"')
  expect(xml).toContain('second \ufffd line')
  expect(xml).not.toContain('\u0007')
})

test('JSON: the results as they are', () => {
  expect(JSON.parse(reportOf('json', RESULTS))).toEqual(JSON.parse(JSON.stringify(RESULTS)))
})
