/** Results of scenarios in the forms their readers want: people, TAP, JUnit's XML, JSON. */

import { isFailure } from './pool.ts'
import type { TestResult } from './run-one.ts'

export const REPORTERS = ['readable', 'tap', 'junit', 'json'] as const
export type ReporterName = (typeof REPORTERS)[number]

/** The whole report of a run that has ended. */
export function reportOf(name: ReporterName, results: readonly TestResult[]): string {
  switch (name) {
    case 'readable':
      return readable(results)
    case 'tap':
      return tap(results)
    case 'junit':
      return junit(results)
    case 'json':
      return `${JSON.stringify(results, null, 2)}\n`
  }
}

/** What people see of one scenario as soon as it is done. */
export function resultText(result: TestResult): string {
  const { file, outcome, expectations, problems, dump } = result
  const note = NOTES[outcome]
  const head = `${outcome.padEnd(8)}${file}${note === '' ? ` (${expectations} expectations)` : ` (${note})`}\n`
  const where = dump === undefined ? '' : `its dump: coredrill crash ${dump}\n`
  return isFailure(result) ? `${head}${indent(`${problems}${where}`)}` : head
}

const NOTES = {
  passed: '',
  failed: 'came out otherwise',
  broken: 'cannot be run',
  updated: 'golden record written',
  new: 'no golden record yet: --update writes it',
} as const

const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, '    ')

function readable(results: readonly TestResult[]): string {
  return `${results.map(resultText).join('')}${summaryText(results)}`
}

/** `21 scenarios: 20 passed, 1 failed` */
export function summaryText(results: readonly TestResult[]): string {
  const outcomes = ['passed', 'updated', 'new', 'failed', 'broken'] as const
  const counts = outcomes.flatMap((outcome) => {
    const count = results.filter((result) => result.outcome === outcome).length
    return count === 0 ? [] : [`${count} ${outcome}`]
  })
  return `${results.length} scenario${results.length === 1 ? '' : 's'}: ${counts.join(', ')}\n`
}

/** Test Anything Protocol, version 14: problems as YAML blocks. */
function tap(results: readonly TestResult[]): string {
  const lines = results.flatMap((result, i) => {
    const head = `${isFailure(result) ? 'not ok' : 'ok'} ${i + 1} - ${result.file.replaceAll('#', '\\#')}`
    if (!isFailure(result)) return [head]
    const problems = result.problems.trimEnd().split('\n')
    return [head, '  ---', '  message: |', ...problems.map((line) => `    ${line}`), '  ...']
  })
  return `${['TAP version 14', `1..${results.length}`, ...lines].join('\n')}\n`
}

function junit(results: readonly TestResult[]): string {
  const failures = results.filter(({ outcome }) => outcome === 'failed').length
  const errors = results.filter(({ outcome }) => outcome === 'broken').length
  const cases = results.map((result) => {
    const open = `  <testcase classname="coredrill" name="${xml(result.file)}"`
    if (!isFailure(result)) return `${open}/>`
    const kind = result.outcome === 'broken' ? 'error' : 'failure'
    const [first = ''] = result.problems.split('\n')
    return `${open}>\n    <${kind} message="${xml(first)}">${xml(result.problems)}</${kind}>\n  </testcase>`
  })
  const counts = `tests="${results.length}" failures="${failures}" errors="${errors}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="coredrill" ${counts}>\n${cases.join('\n')}\n</testsuite>\n`
}

/** Text inside XML: markup as entities, characters XML cannot have as U+FFFD. */
function xml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;')
}
