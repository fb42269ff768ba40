/** Machines for tests of intercepted system calls: a profile, a few steps in YAML, and what lies in memory afterwards. */

import { toVa } from '../../src/base/addr.ts'
import { ia32Calls } from '../../src/abi/syscalls-ia32.ts'
import { log_records } from '../../src/helpers/printk.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { startMachine } from '../../src/scenario/machine.ts'
import type { Run } from '../../src/scenario/run.ts'
import { parseScenario } from '../../src/scenario/scenario.ts'
import { readerOf } from './reader.ts'

export const I386 = 'linux-3.13-i386'
export const OLD = 'linux-2.6.24-i386'
export const UBUNTU = 'ubuntu-5.15-x86_64'
export const DEBIAN = 'debian-6.1-x86_64'

/** What a kernel was patched to export so that the documents' modules can be loaded at all. */
export const PATCHED = 'exports: [sys_call_table, kallsyms_on_each_symbol, kallsyms_lookup_name]'

const SHELLS = `processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
  - { name: other, pid: 501, argv: [-bash], cwd: /root, tty: /dev/pts/1, cpu: 0 }
`

/**
 * Boot and run.
 * @param head more of the scenario: `exports`, `devices`, …
 * @param steps items of `steps`
 * @param watch called when the machine is up
 */
export function machine(
  profile: string,
  head: string,
  steps: string,
  watch: (run: Run) => void = () => undefined,
): Run {
  const memory = profile === I386 || profile === OLD ? 'memory: 128M\n' : ''
  const text = `profile: ${profile}\n${memory}${head}\n${SHELLS}steps:\n${steps}`
  const scenario = parseScenario('test.yaml', text)
  const run = startMachine(scenario)
  watch(run)
  scenario.steps.forEach((step, i) => run.step(step, i + 1))
  return run
}

export const logOf = (k: Kernel): string[] => [...log_records(readerOf(k))].map(({ text }) => text)

/** What a line typed at a shell showed, by the number of the step, from 1. */
export const shown = (run: Run, step: number): string => run.rows[step]?.output ?? ''

/** The bytes of a table of system calls. */
export function tableBytes(k: Kernel, table = 'sys_call_table'): string {
  const bytes = k.mem.read(toVa(k.sym(table), k.mem.wordSize), ia32Calls.length * k.mem.wordSize)
  return Buffer.from(bytes).toString('hex')
}

/** One entry. */
export const entryAt = (k: Kernel, nr: number, table = 'sys_call_table'): bigint =>
  k.mem.word(toVa(k.sym(table), k.mem.wordSize) + nr * k.mem.wordSize)
