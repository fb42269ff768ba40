/** `check` as a command: one line for each finding, then what was looked at. */

import { hex } from '../base/addr.ts'
import type { CheckEntry } from '../explain/check/entry.ts'
import { checkNames, runChecks, type CheckResult } from '../explain/check/run.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'

export interface CheckOptions {
  /** names of checks, with commas */
  readonly only?: string | undefined
  /** good entries as well */
  readonly all?: boolean | undefined
}

/** What the exit status is when something is found. */
export const FOUND = 3

/** Rows: {@link CheckEntry}, the findings, or with `--all` everything looked at. */
export function checkReport(target: Target, options: CheckOptions): Report {
  const result = runChecks(target, chosen(options.only))
  const findings = result.entries.filter(({ found }) => found)
  const rows = options.all === true ? result.entries : findings
  const lines = [...rows.map(lineOf), ...summary(result, findings.length)]
  const failed = result.problems.length > 0
  const text = `${lines.join('\n')}\n`
  return findings.length > 0 ? { rows, text, failed, status: FOUND } : { rows, text, failed }
}

function chosen(only: string | undefined): readonly string[] {
  if (only === undefined) return checkNames
  const names = only.split(',')
  const unknown = names.find((name) => !checkNames.includes(name))
  if (unknown !== undefined)
    throw new Misuse(`no check ${JSON.stringify(unknown)}: there are ${checkNames.join(', ')}`)
  return names
}

/** `syscalls: sys_call_table[57] (fork) at …: … edu_fork [edu], expected … __x64_sys_fork: hooked by module edu` */
function lineOf(entry: CheckEntry): string {
  const { check, place, at, value, verdict, found } = entry
  const where = at === 0n ? place : `${place} at ${hex(at)}`
  return `${check}: ${where} holds ${hex(value)}${ownerText(entry)}${expectedText(entry, found)}: ${verdict}`
}

function ownerText({ symbol, owner }: CheckEntry): string {
  const module = owner === 'kernel' || owner === 'nobody' ? '' : ` [${owner}]`
  return symbol === null ? module : ` ${symbol}${module}`
}

function expectedText({ expected, expectedAt, symbol }: CheckEntry, found: boolean): string {
  if (!found || (expected === null && expectedAt === null) || expected === symbol) return ''
  const words = [expectedAt === null ? '' : hex(expectedAt), expected ?? ''].filter((word) => word !== '')
  return `, expected ${words.join(' ')}`
}

function summary({ entries, checked, skipped, problems }: CheckResult, findings: number): string[] {
  const counts = checked.map((name) => `${name} ${entries.filter(({ check }) => check === name).length}`)
  const found = findings === 0 ? 'nothing found' : findings === 1 ? '1 finding' : `${findings} findings`
  return [
    ...problems.map((problem) => `cannot read: ${problem}`),
    ...skipped.map(({ check, reason }) => `not checked: ${check}: ${reason}`),
    `${found} in ${entries.length} places: ${counts.join(', ')}`,
  ]
}
