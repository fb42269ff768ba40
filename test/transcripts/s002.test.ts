/**
 * The article on adding a system call (modules nsys and adds), statement by statement.
 *
 * Out of scope: S002-16, the address of another kernel in one listing, and S002-18, a typing error in a comment, say
 * nothing that can be observed; S002-17, that the numbers may not be used again, is a convention. Of S002-1 the number 357
 * belongs to that build: what it stands for, that symbols are not entries, is below.
 */

import { describe, expect, test } from 'vitest'
import { ENOSYS, strerror } from '../../src/abi/errno.ts'
import { ia32Calls } from '../../src/abi/syscalls-ia32.ts'
import { i386Table, NUMA_CALLS } from '../../src/abi/syscalls-i386.ts'
import { rowsOf } from '../../src/explain/history.ts'
import { moduleOf } from '../../src/linux/kernel/module/api.ts'
import { crash, recordedTarget } from '../support/recorded.ts'
import { DEBIAN, entryAt, I386, logOf, machine, OLD, PATCHED, shown, UBUNTU } from '../support/system-calls.ts'

const shell = (line: string): string => `  - shell: { process: shell, line: ${JSON.stringify(line)} }\n`

/** What lines of a transcript showed, by their words. */
function terminal(name: string, line: string): { output?: string; status?: number }[] {
  const rows = rowsOf<{ summary: string; output?: string; status?: number }>(recordedTarget(name), 'steps')
  return rows.filter(({ summary }) => summary.includes(line))
}
const output = (name: string, line: string): (string | undefined)[] =>
  terminal(name, line).map((row) => row.output)

const UNUSED = [
  17, 31, 32, 35, 44, 53, 56, 58, 98, 112, 127, 130, 137, 167, 169, 188, 189, 222, 223, 251, 273, 274, 275, 276, 285,
  294, 317,
] // prettier-ignore
const NUMA = [274, 275, 276, 294, 317]

describe('nsys', () => {
  test('S002-1: symbols are not entries: more than one name for an address, and names that no entry has', () => {
    const { k } = machine(I386, '', '  - snapshot: up\n')
    const entries = new Set(Array.from({ length: 351 }, (_, nr) => entryAt(k, nr)))
    const symbols = [...k.symbols].filter(([name]) => name.startsWith('sys_') && name !== 'sys_call_table')
    const own = symbols.filter(([, address]) => entries.has(address))
    expect(new Set(own.map(([, address]) => address)).size).toBeLessThan(own.length)
    expect(own.length).toBeLessThan(symbols.length)
    const run = machine(
      I386,
      '',
      shell("cat /proc/kallsyms | grep ' sys_' | grep T | wc -l") + shell('cat /proc/kallsyms | grep " sys_call_table"'),
    )
    expect(Number(shown(run, 1))).not.toBe(351)
    expect(shown(run, 2)).toMatch(/^[0-9a-f]{8} R sys_call_table\n$/)
  })

  test('S002-2: the machine and its kernel', () => {
    expect(output('nsys', 'uname -p')).toEqual(['i686\n'])
    expect(output('nsys', 'uname -r')).toEqual(['3.13.0-37-generic\n'])
  })

  test('S002-3: init returns -EPERM; the module is gone', async () => {
    expect(terminal('nsys', 'sudo insmod')).toMatchObject([
      {
        output: 'insmod: ERROR: could not insert module nsys.ko: Operation not permitted\n',
        status: 1,
      },
    ])
    expect(await crash(recordedTarget('nsys'), 'mod')).not.toContain('nsys')
  })

  test('S002-4: its four lines', () => {
    expect(output('nsys', 'dmesg | tail -n 4')).toEqual([
      [
        '[10751.601851] ! sys_call_table address = c1666140',
        '[10751.602194] ! sys_ni_syscall address = c1075930',
        '[10751.659769] ! sys_call_table length = 351',
        `[10751.659779] ! found 27 unused entries: ${UNUSED.map((n) => `${String(n).padStart(3, '0')}, `).join('')}`,
        '',
      ].join('\n'),
    ])
  })

  test('S002-5: 22 gaps, and five calls this build has left out', () => {
    const gaps = ia32Calls.slice(0, 351).flatMap((call, nr) => (call === undefined ? [nr] : []))
    expect(gaps).toEqual(UNUSED.filter((nr) => !NUMA.includes(nr)))
    expect(NUMA.map((nr) => ia32Calls[nr]?.name)).toEqual([...NUMA_CALLS].sort((a, b) => order(a) - order(b)))
    expect(i386Table('3.13.0-37-generic')).toHaveLength(351)
    expect(ia32Calls[350]?.name).toBe('finit_module')
    expect(ia32Calls[351]?.name).toBe('sched_setattr')
    const { k } = machine(I386, '', '  - snapshot: up\n')
    for (const call of NUMA_CALLS) expect(k.symbols.get(`sys_${call}`)).toBe(k.sym('sys_ni_syscall'))
  })

  test('S002-6: an entry behind the last that a symbol names is not seen', () => {
    const run = machine(I386, '', shell('insmod nsys.ko'), ({ k }) => {
      // the last call becomes one that has no name
      const at = Number(k.sym('sys_call_table')) + 350 * 4
      k.mem.setU32(at, Number(k.sym('sys_ni_syscall')) + 1)
    })
    expect(logOf(run.k)).toContain('! sys_call_table length = 350')
  })

  test('S002-15: since 5.7 nobody may look symbols up', () => {
    for (const profile of [UBUNTU, DEBIAN]) {
      const run = machine(profile, '', shell('insmod nsys.ko') + shell('insmod adds.ko'))
      expect(shown(run, 1)).toContain('Unknown symbol in module')
      expect(shown(run, 2)).toContain('Unknown symbol in module')
      const lines = logOf(run.k)
      expect(lines).toContain('nsys: Unknown symbol kallsyms_lookup_name (err -2)')
      expect(lines).toContain('nsys: Unknown symbol kallsyms_on_each_symbol (err -2)')
      expect(lines).toContain('adds: Unknown symbol kallsyms_lookup_name (err -2)')
    }
  })
})

describe('adds', () => {
  test('S002-7: the kernel says ENOSYS, the C library -1, and the program prints the text of 1', () => {
    expect(terminal('adds', './syscall')[0]).toMatchObject({
      output: 'syscall error -1 : Operation not permitted\n',
      status: 255,
    })
    const returned: unknown[] = []
    machine(I386, '', shell('./syscall'), ({ k }) => {
      k.watch('sys_ni_syscall', { entered: () => undefined, returned: (_i, result) => returned.push(result) })
    })
    expect(returned).toEqual([-ENOSYS])
    expect([strerror(1), strerror(ENOSYS)]).toEqual(['Operation not permitted', 'Function not implemented'])
  })

  test('S002-8, S002-9: loaded: a free entry becomes the first function of the module', () => {
    expect(output('adds', 'dmesg | tail -n3')).toEqual([
      '[15000.600618] ! sys_ni_syscall address = c1075930\n' +
        '[15000.600622] ! old sys_call_table[223] = c1075930\n' +
        '[15000.600623] ! new sys_call_table[223] = f87d9000\n',
    ])
    expect(output('adds', 'lsmod | head -n3')).toEqual([
      'Module                  Size  Used by\nadds                   12622  0\npci_stub               12550  1\n',
    ])
  })

  test('S002-10: four words, the last one first', () => {
    expect(output('adds', './syscall new string')).toEqual(['syscall return 0\n'.repeat(4)])
    expect(output('adds', 'dmesg | tail -n4')).toEqual([
      '[15070.680753] ! accepted 4 bytes: call\n' +
        '[15070.680799] ! accepted 3 bytes: for\n' +
        '[15070.680804] ! accepted 6 bytes: string\n' +
        '[15070.680807] ! accepted 3 bytes: new\n',
    ])
  })

  test('S002-11: one word of four, and none', () => {
    expect(output('adds', 'dmesg | tail -n1')[0]).toBe(
      '[15167.526452] ! accepted 19 bytes: new string for call\n',
    )
    const run = machine(I386, '', shell('insmod adds.ko') + shell('./syscall'))
    expect(logOf(run.k).at(-1)).toBe('! accepted 14 bytes: DEFAULT STRING')
  })

  test('S002-12: unloaded, and everything is as before', () => {
    expect(output('adds', 'dmesg | tail -n1')[1]).toBe(
      '[15199.917817] ! restore sys_call_table[223] = c1075930\n',
    )
    expect(terminal('adds', './syscall').at(-1)).toMatchObject({ status: 255 })
  })

  test('S002-13: an entry that is not free', () => {
    const lines = output('adds-slot-taken', 'sudo insmod')
    expect(lines[1]).toContain('File exists')
    expect(lines[2]).toContain('Invalid parameters')
  })

  test('S002-14: a bad pointer gives a positive number; a long string runs over the buffer', () => {
    const own = (args: string): string => `  - syscall: { process: t, call: 223, args: [${args}] }\n`
    const tester = '  - run: { name: t, pid: 600, parent: shell, argv: [syscalls] }\n'
    const results: unknown[] = []
    const run = machine(
      I386,
      '',
      `${shell('insmod adds.ko')}${tester}${own('16, 5')}${own(`{ bytes: ${'x'.repeat(84)} }, 84`)}`,
      ({ k }) => {
        k.watch('new_sys_call', { entered: () => undefined, returned: (_i, result) => results.push(result) })
      },
    )
    expect(results).toEqual([5, 0])
    expect(strerror(-5)).toBe('Unknown error -5')
    // what lay behind the 80 bytes: the old entry
    const self = moduleOf(run.k, 'adds')
    expect(self.sym('old_sys_addr') - self.sym('buf_msg')).toBe(80)
    expect(self.word('old_sys_addr')).toBe(0x78787878n)
  })

  test('on 2.6.24 the call is free, too', () => {
    const run = machine(OLD, PATCHED, shell('insmod adds.ko') + shell('./syscall'))
    expect(shown(run, 2)).toBe('syscall return 0\n')
  })
})

const order = (name: string): number => ia32Calls.findIndex((call) => call?.name === name)
