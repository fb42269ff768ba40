/** The checks there are, and running them. */

import { CoredrillError } from '../../base/errors.ts'
import type { Target } from '../../target/target.ts'
import { CheckContext } from './context.ts'
import { entryOf, type CheckEntry, type Seen } from './entry.ts'
import { checkIdt } from './idt.ts'
import { checkLists } from './lists.ts'
import { checkLsm } from './lsm.ts'
import { checkModules } from './modules.ts'
import { checkNetfilter } from './netfilter.ts'
import { checkObjects } from './objects.ts'
import { checkOps } from './ops.ts'
import { checkFtrace, checkKprobes } from './probes.ts'
import { checkProtection } from './protection.ts'
import { checkSyscalls } from './syscalls.ts'

const CHECKS: ReadonlyMap<string, (c: CheckContext) => Generator<Seen, string | undefined>> = new Map([
  ['syscalls', checkSyscalls],
  ['lsm', checkLsm],
  ['netfilter', checkNetfilter],
  ['kprobes', checkKprobes],
  ['ftrace', checkFtrace],
  ['idt', checkIdt],
  ['ops', checkOps],
  ['modules', checkModules],
  ['lists', checkLists],
  ['objects', checkObjects],
  ['protection', checkProtection],
])

/** Names of the checks, in the order they are run. */
export const checkNames: readonly string[] = [...CHECKS.keys()]

/** What the checks saw. */
export interface CheckResult {
  readonly entries: readonly CheckEntry[]
  /** the checks that were run on something, if only an empty table */
  readonly checked: readonly string[]
  /** checks of what this kernel has not, and why */
  readonly skipped: readonly { readonly check: string; readonly reason: string }[]
  /** what could not be read, a line each */
  readonly problems: readonly string[]
}

/**
 * Look at everything.
 *
 * @param names of the checks to run; all by default
 */
export function runChecks(target: Target, names: readonly string[] = checkNames): CheckResult {
  const context = new CheckContext(target)
  const entries: CheckEntry[] = []
  const checked: string[] = []
  const skipped: { check: string; reason: string }[] = []
  for (const [check, run] of CHECKS) {
    if (!names.includes(check)) continue
    const reason = collect(context, check, run, entries)
    if (reason === undefined) checked.push(check)
    else skipped.push({ check, reason })
  }
  return { entries, checked, skipped, problems: [...new Set(context.problems)] }
}

function collect(
  context: CheckContext,
  check: string,
  run: (c: CheckContext) => Generator<Seen, string | undefined>,
  entries: CheckEntry[],
): string | undefined {
  const steps = run(context)
  try {
    for (;;) {
      const { done, value } = steps.next()
      if (done === true) return value
      entries.push(entryOf(check, value))
    }
  } catch (error) {
    if (!(error instanceof CoredrillError)) throw error
    context.problems.push(`${check}: ${error.message}`)
    return undefined
  }
}
