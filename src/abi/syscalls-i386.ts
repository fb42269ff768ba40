/**
 * The tables of system calls of old i386 kernels: how long each is, and which of its numbers lead to sys_ni_syscall.
 * What the numbers mean has never changed, so the names are those of syscalls-ia32.ts.
 *
 * @see arch/x86/syscalls/syscall_32.tbl (arch/x86/kernel/syscall_table_32.S before 3.3)
 */

import { ia32Calls } from './syscalls-ia32.ts'

interface I386Table {
  /** One past the highest number. */
  readonly slots: number
  /** Numbers without a call in this kernel, beside those that never had one or lost it long ago. */
  readonly gaps: readonly number[]
}

/**
 * Calls whose handler is a weak alias of sys_ni_syscall in a kernel without NUMA: a symbol of their own at the same
 * address. @see kernel/sys_ni.c
 */
export const NUMA_CALLS = ['mbind', 'get_mempolicy', 'set_mempolicy', 'migrate_pages', 'move_pages'] as const

/** By the beginning of `uname -r`. */
const TABLES: Readonly<Record<string, I386Table>> = {
  // up to finit_module
  '3.13.': { slots: 351, gaps: [] },
  // up to fallocate; timerfd of 2.6.22 had been taken out again
  '2.6.24': { slots: 325, gaps: [322] },
}

const made = new Map<string, readonly (string | undefined)[]>()

/**
 * The handlers of a kernel by number; undefined where there is none.
 * @param release `uname -r`
 */
export function i386Table(release: string): readonly (string | undefined)[] {
  let table = made.get(release)
  if (table === undefined) {
    const found = Object.entries(TABLES).find(([prefix]) => release.startsWith(prefix))?.[1]
    const { slots, gaps } = found ?? { slots: ia32Calls.length, gaps: [] }
    table = ia32Calls
      .slice(0, slots)
      .map((call, nr) => (call === undefined || gaps.includes(nr) ? undefined : i386Handler(call.native)))
    made.set(release, table)
  }
  return table
}

/** Calls that got a number of their own on i386 long after they could be made through socketcall and ipc. */
const OLDER_THAN_NUMBER = [
  [359, 373],
  [393, 402],
] as const

/** Handlers of calls that came after a kernel: symbols it has not. @param release `uname -r` */
export function i386LaterCalls(release: string): ReadonlySet<string> {
  const table = i386Table(release)
  const had = new Set(table)
  const later = ia32Calls.flatMap((call, nr) => {
    if (call === undefined || nr < table.length) return []
    if (OLDER_THAN_NUMBER.some(([first, last]) => nr >= first && nr <= last)) return []
    return [i386Handler(call.native)]
  })
  return new Set(later.filter((name) => !had.has(name)))
}

/**
 * What a kernel before 4.17 calls the handler of a 6.1 one: without the marks that tell 32-bit times and offsets from
 * 64-bit ones.
 * @param native the handler's name behind `__ia32_sys_`
 */
export function i386Handler(native: string): string {
  return `sys_${native.replace(/_time32$|(?<=time)32$/, '').replace(/^ia32_/, '')}`
}
