/** Hooks: what the checks found where kernel code can be diverted, then the lists of security modules as they are asked. */

import { hex, toVa } from '../base/addr.ts'
import type { FaultError, ValidationError } from '../base/errors.ts'
import { isStruct, strip } from '../btf/type.ts'
import { isDamage } from '../crash/fault-mark.ts'
import type { CheckEntry } from '../explain/check/entry.ts'
import { runChecks } from '../explain/check/run.ts'
import type { HookEntry } from '../explain/facts.ts'
import { hookEntries } from '../explain/hooks.ts'
import { refAt } from '../helpers/kernel.ts'
import type { Target } from '../target/target.ts'
import { decoded, span, type Line } from './cell.ts'
import { careful } from './object-rows.ts'
import type { RowSource } from './row.ts'
import { subjectOf } from './subject.ts'

/** An entry of a list of `security_hook_heads`. */
export interface ListedHook extends HookEntry {
  readonly hook: string
  /** its place in the order they are asked, from 1 */
  readonly position: number
}

export type HookRow =
  | { readonly kind: 'listed'; readonly entry: ListedHook }
  | { readonly kind: 'finding'; readonly entry: CheckEntry }

/** Checks of places that divert the kernel; others look at every task, so they are left to `check`. */
const CHECKS = ['syscalls', 'lsm', 'netfilter', 'kprobes', 'ftrace', 'idt', 'ops', 'modules']

/** Findings, and every entry of every list of `security_hook_heads`; kernels since 6.12 have none. */
export function hookRows(target: Target): RowSource<HookRow> {
  return {
    *entries() {
      for (const check of CHECKS) {
        const { entries } = runChecks(target, [check])
        yield undefined
        for (const entry of entries) if (entry.found) yield { kind: 'finding', entry }
      }
      for (const entry of listedHooks(target))
        yield entry === undefined ? undefined : { kind: 'listed', entry }
    },
    row: (row) =>
      row.kind === 'finding'
        ? careful(`${row.entry.check} ${hex(row.entry.at)} ${row.entry.verdict}`, () => ({
            spans: findingSpans(row.entry),
            subject: { label: row.entry.place, type: undefined, va: toVa(row.entry.at, target.wordSize) },
            command: `check --only ${row.entry.check}`,
          }))
        : careful(`${row.entry.hook} ${hex(row.entry.at)}`, () => ({
            spans: listedSpans(row.entry),
            subject: subjectOf(
              refAt(target, 'security_hook_list', toVa(row.entry.at, target.wordSize)),
              row.entry.hook,
            ),
            command: `struct security_hook_list ${hex(row.entry.at)}`,
          })),
  }
}

function* listedHooks(target: Target): Generator<ListedHook | undefined> {
  const heads = target.types.findStruct('security_hook_heads')
  let broken: FaultError | ValidationError | undefined
  for (const { name, type } of heads?.members ?? []) {
    const plain = strip(type)
    yield undefined
    if (name === '' || !isStruct(plain)) continue
    try {
      yield* hookEntries(target, name).map((entry, i) => ({ ...entry, hook: name, position: i + 1 }))
    } catch (error) {
      if (!isDamage(error)) throw error
      broken ??= error
    }
  }
  // the list says so after what could be read
  if (broken !== undefined) throw broken
}

function findingSpans({ check, place, verdict, effective }: CheckEntry): Line {
  return [
    span(`! ${check.padEnd(10)} `, 'error'),
    span(`${decoded(place)}: `, 'name'),
    span(decoded(verdict), 'changed'),
    span(effective ? '' : ' (not in use)', 'dim'),
  ]
}

function listedSpans(entry: ListedHook): Line {
  return [
    span(`${entry.hook.padEnd(26)} `, 'name'),
    span(`${entry.position}  `, 'dim'),
    span(`${entry.function} `.padEnd(34), foreign(entry) ? 'changed' : 'plain'),
    span(`${entry.module}/${decoded(entry.lsm)} `.padEnd(18), 'dim'),
    span(hex(entry.at), 'address'),
  ]
}

/** Not the kernel's own: a module's, or in nobody's text. */
const foreign = (entry: HookEntry): boolean => entry.module !== 'kernel'

/** What is said about one. */
export function hookLines(row: HookRow): string[] {
  return row.kind === 'finding' ? findingLines(row.entry) : listedLines(row.entry)
}

function findingLines({
  check,
  place,
  at,
  value,
  symbol,
  owner,
  expected,
  expectedAt,
  effective,
  verdict,
}: CheckEntry): string[] {
  const should =
    expected === null && expectedAt === null
      ? []
      : [`there belongs ${expected ?? ''} ${expectedAt === null ? '' : hex(expectedAt)}`.trimEnd()]
  return [
    `${decoded(place)}: ${decoded(verdict)}`,
    `at ${hex(at)} lies ${hex(value)}${symbol === null ? '' : ` ${symbol}`}, of ${owner}`,
    ...should,
    effective ? 'this kernel uses what is there' : 'this kernel does not use what is there',
    `found by: check --only ${check}`,
  ]
}

function listedLines(entry: ListedHook): string[] {
  const { hook, position, module, lsm, at } = entry
  const whose = foreign(entry)
    ? module === 'nobody'
      ? 'The function lies in no module and not in the kernel: something hidden put it there.'
      : `The function belongs to module ${module}, not to the kernel.`
    : `The function is the kernel's own, of the security module "${decoded(lsm)}".`
  return [
    `${entry.function} is asked as number ${position} whenever the kernel calls security_${hook}().`,
    whose,
    'The first of the list that does not return 0 refuses; those after it are not asked.',
    `security_hook_list ${hex(at)}`,
  ]
}
