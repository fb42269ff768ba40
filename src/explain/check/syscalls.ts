/** The tables of system calls: is each entry the call of its number? */

import { i386Handler } from '../../abi/syscalls-i386.ts'
import { ia32Calls } from '../../abi/syscalls-ia32.ts'
import { syscalls, userNames } from '../../abi/syscalls-x86_64.ts'
import { toAddr } from '../../base/addr.ts'
import { system_calls } from '../../helpers/syscall-table.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'
import { pointerVa } from './modules-known.ts'

/** What architectures put before the name of a call. */
const PREFIX = /^(__)?(x64_|ia32_|i386_|x32_|se_|do_)?(compat_)?(sys_|stub_|ptregs_)(ia32_)?/

interface Table {
  readonly symbol: string
  /** symbol of the switch that replaced it */
  readonly switch: string
  /** names a call may have behind its prefix, by number */
  readonly names: (nr: number) => readonly string[]
}

const userName = new Map(Object.entries(userNames).map(([user, handler]) => [handler, user]))

function names64(nr: number): string[] {
  const name = syscalls[nr]
  if (name === undefined) return []
  const user = userName.get(name)
  return user === undefined ? [name] : [name, user]
}

function names32(nr: number): string[] {
  const call = ia32Calls[nr]
  if (call === undefined) return []
  const old = i386Handler(call.native).slice('sys_'.length)
  return [...new Set([call.native, call.compat ?? call.native, call.name, old])]
}

const tables = (wordSize: 4 | 8): Table[] =>
  wordSize === 4
    ? [{ symbol: 'sys_call_table', switch: 'ia32_sys_call', names: names32 }]
    : [
        { symbol: 'sys_call_table', switch: 'x64_sys_call', names: names64 },
        { symbol: 'ia32_sys_call_table', switch: 'ia32_sys_call', names: names32 },
        { symbol: 'x32_sys_call_table', switch: 'x32_sys_call', names: names64 },
      ]

/** @returns why there is nothing to check, if so */
export function* checkSyscalls(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, wordSize } = c.target
  const there = tables(wordSize).filter(({ symbol }) => symbols.findKernel(symbol) !== undefined)
  for (const table of there) yield* c.guard(table.symbol, () => entries(c, table))
  return there.length === 0 ? 'this kernel has no table of system calls' : undefined
}

function* entries(c: CheckContext, table: Table): Generator<Seen> {
  const { symbols, mem } = c.target
  const start = symbols.va(table.symbol)
  const effective = !hasSwitch(c, table)
  const numbers = numbersByName(table)
  for (const { nr, handler } of system_calls(c.target, table.symbol)) {
    const at = toAddr(start + nr * mem.wordSize)
    const names = table.names(nr)
    const [name = 'ni_syscall'] = names
    const expected = expectedOf(c, table, names)
    const seen = c.judge(`${table.symbol}[${nr}] (${name})`, at, handler, 'any module', expected)
    const other = seen.found === true ? undefined : otherCall(c, handler, names, numbers)
    const words = other === undefined ? seen : { ...seen, found: true, verdict: other }
    yield words.found === true && !effective
      ? {
          ...words,
          effective,
          verdict: `${words.verdict}; inert: ${table.switch} calls by number, not by this table`,
        }
      : { ...words, effective }
  }
}

/**
 * Does a switch over the number stand in for the table? It came with 6.9 and, as a remedy against speculation, to the
 * stable kernels from 5.15 on; older ones cannot have it, whatever is called so in them.
 */
function hasSwitch({ target }: CheckContext, table: Table): boolean {
  const major = Number(/^\d+/.exec(target.vmcoreinfo.release ?? '')?.[0] ?? NaN)
  return !(major < 5) && target.symbols.findKernel(table.switch) !== undefined
}

/** The number whose call has a name. */
function numbersByName(table: Table): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  for (let nr = 0; nr < 512; nr++)
    for (const name of table.names(nr)) if (!numbers.has(name)) numbers.set(name, nr)
  return numbers
}

const prefixes = (c: CheckContext, table: Table): string[] =>
  c.target.wordSize === 4
    ? ['sys_', '__ia32_sys_']
    : table.symbol === 'sys_call_table'
      ? ['__x64_sys_', 'sys_', 'stub_', 'SyS_']
      : ['__ia32_compat_sys_', '__ia32_sys_', 'compat_sys_', '__x32_compat_sys_', 'sys_']

/** The symbol of this kernel that has one of the names. */
function expectedOf(c: CheckContext, table: Table, names: readonly string[]) {
  const all = prefixes(c, table)
  const wanted = names.length === 0 ? ['ni_syscall'] : names
  const symbols = wanted.flatMap((name) => all.map((prefix) => `${prefix}${name}`))
  const symbol = symbols.find((each) => c.target.symbols.findKernel(each) !== undefined)
  return symbol === undefined ? undefined : c.expected(symbol)
}

/** Words for an entry that is the call of another number; undefined for one that may well be there. */
function otherCall(
  c: CheckContext,
  handler: bigint,
  names: readonly string[],
  numbers: ReadonlyMap<string, number>,
): string | undefined {
  const va = pointerVa(c.target, handler)
  const aliases = c.target.symbols.sameAddress(va).map(({ name }) => name)
  const calls = aliases.map((name) => name.replace(PREFIX, ''))
  if (calls.some((name) => name === 'ni_syscall' || names.includes(name))) return undefined
  if (!aliases.some((name) => /sys|stub_|ptregs_/.test(name))) return `no system call: ${aliases[0] ?? ''}`
  const number = calls.map((name) => numbers.get(name)).find((nr) => nr !== undefined)
  return number === undefined ? undefined : `the call of number ${number}`
}
