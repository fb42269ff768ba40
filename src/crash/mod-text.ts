/** The table of `mod`: loaded modules by address. */

import type { StructRef } from '../btf/ref.ts'
import { addr, hex } from '../base/addr.ts'
import {
  for_each_module,
  module_base,
  module_name,
  module_refcount,
  module_size,
  module_state,
  module_taints,
  module_users,
} from '../helpers/module.ts'
import { addressWidth, centerHex } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** A module in `mod --json`. */
export interface ModuleJson {
  readonly module: bigint
  readonly name: string
  readonly base: bigint
  readonly size: number
  /** Live, Loading, Unloading */
  readonly state: string
  readonly refcount: number
  readonly usedBy: readonly string[]
  /** letters, in the order of their bits */
  readonly taints: string
  /** does it carry its own symbols in memory? */
  readonly kallsyms: boolean
}

/** Read the modules, by base address; what follows a damaged entry is lost and named. */
export function readModules(target: Target): { modules: ModuleJson[]; problem?: string } {
  const modules: ModuleJson[] = []
  let problem: string | undefined
  try {
    for (const mod of for_each_module(target)) modules.push(moduleRow(target, mod))
  } catch (error) {
    if (!isDamage(error)) throw error
    problem = faultMark(error)
  }
  modules.sort((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : 0))
  return problem === undefined ? { modules } : { modules, problem }
}

function moduleRow(target: Target, mod: StructRef): ModuleJson {
  const base = module_base(mod)
  return {
    module: mod.$addr,
    name: module_name(mod),
    base: Number.isNaN(base) ? 0n : addr(base),
    size: module_size(mod),
    state: module_state(mod),
    refcount: module_refcount(mod),
    usedBy: lenient(() => module_users(mod), []),
    taints: lenient(() => module_taints(target, mod), ''),
    kallsyms: mod.$has('kallsyms') || mod.$has('symtab'),
  }
}

function lenient<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    if (isDamage(error)) return otherwise
    throw error
  }
}

/** The table: all modules, or those named. */
export function modulesReport(target: Target, names?: readonly string[]): Report {
  const { modules, problem } = readModules(target)
  const rows = names === undefined ? modules : modules.filter(({ name }) => names.includes(name))
  const failed = problem !== undefined
  if (modules.length === 0)
    return { rows, text: problem === undefined ? 'no modules installed\n' : `${problem}\n`, failed }
  const width = addressWidth(target.wordSize)
  const nameWidth = Math.max(4, ...modules.map(({ name }) => name.length))
  const sizeWidth = Math.max(4, ...modules.map(({ size }) => String(size).length))
  const head = [
    center('MODULE', width),
    'NAME'.padEnd(nameWidth),
    center('BASE', width),
    'SIZE'.padStart(sizeWidth),
    'OBJECT FILE',
  ]
  const lines = rows.map((row) =>
    [
      hex(row.module).padStart(width),
      row.name.padEnd(nameWidth),
      centerHex(row.base, width),
      String(row.size).padStart(sizeWidth),
      '(not loaded)',
      ...(row.kallsyms ? ['[CONFIG_KALLSYMS]'] : []),
    ].join('  '),
  )
  if (problem !== undefined) lines.push(problem)
  return { rows, text: [head.join('  '), ...lines, ''].join('\n'), failed }
}

/** `mod -t`: modules that taint the kernel. */
export function taintsReport(target: Target): Report {
  const { modules, problem } = readModules(target)
  const rows = modules
    .filter(({ taints }) => taints !== '')
    .map(({ module, name, taints }) => ({ module, name, taints }))
  const end = problem === undefined ? '' : `${problem}\n`
  const failed = problem !== undefined
  if (rows.length === 0) return { rows, text: end === '' ? 'no tainted modules\n' : end, failed }
  const width = Math.max(4, ...rows.map(({ name }) => name.length))
  const lines = rows.map(({ name, taints }) => `${name.padEnd(width)}  ${taints}\n`)
  return { rows, text: `${'NAME'.padEnd(width)}  TAINTS\n${lines.join('')}${end}`, failed }
}
