/**
 * The laboratory on intercepted system calls, statement by statement.
 *
 * Out of scope, being about tools outside the kernel: how the kernel's tree is patched and compiled (diff, patch, make),
 * LXR, and the first part of S001-18, that the text patches i386_ksyms_32.c and its diff um/kernel/ksyms.c: both add one
 * export, which is `exports: [sys_call_table]` here. Of S001-1 modpost's warning at build time, of S001-2 System.map's
 * address under UML: no such kernel is simulated.
 */

import { describe, expect, test } from 'vitest'
import { EFAULT, EPERM } from '../../src/abi/errno.ts'
import { ia32SyscallNumber } from '../../src/abi/syscalls-ia32.ts'
import { syscallNumber } from '../../src/abi/syscalls-x86_64.ts'
import { toVa } from '../../src/base/addr.ts'
import { log_records } from '../../src/helpers/printk.ts'
import { KernelPageFault, store_word } from '../../src/linux/arch/x86/mm/fault.ts'
import { kfunc } from '../../src/linux/kfunc.ts'
import { defineModule, moduleOf, mov_cr0, read_cr0, write_cr0, X86_CR0_WP } from '../../src/linux/kernel/module/api.ts'
import { intercept, NR, restore } from '../../src/modules/syscall_table.ts'
import { crash, programRow, recordedTarget } from '../support/recorded.ts'
import { DEBIAN, entryAt, I386, logOf, machine, OLD, PATCHED, shown, tableBytes, UBUNTU } from '../support/system-calls.ts' // prettier-ignore

const shell = (line: string): string => `  - shell: { process: shell, line: ${JSON.stringify(line)} }\n`
const fork = recordedTarget('fork-intercept')
/** Lines of the log of a shipped scenario, without their times. */
const logLines = (name: string): string[] => [...log_records(recordedTarget(name))].map(({ text }) => text)

/** edu as it is when the line that calls the original is taken out: of fork(2), and of the C library's clone(2). */
const calls = ['fork', 'clone'] as const
const mute = kfunc(
  'mute.c',
  function* mute(): Generator<unknown, number> {
    yield
    return -EPERM
  },
  { module: 'mute_fork' },
)
defineModule({
  name: 'mute_fork',
  license: 'GPL',
  imports: ['sys_call_table'],
  functions: [mute],
  variables: calls.map((name) => ({ name: `original_${name}`, size: 8 })),
  init: kfunc('mute.c', function mute_init(k): number {
    for (const name of calls) intercept(k, moduleOf(k, 'mute_fork'), `original_${name}`, NR(k, name), mute)
    return 0
  }, { module: 'mute_fork' }),
  exit: kfunc('mute.c', function mute_exit(k): void {
    for (const name of calls) restore(k, moduleOf(k, 'mute_fork'), `original_${name}`, NR(k, name))
  }, { module: 'mute_fork' }),
})

describe('exports', () => {
  test.each([
    [OLD, 'edu: Unknown symbol sys_call_table'],
    [I386, 'edu: Unknown symbol sys_call_table (err 0)'],
    [UBUNTU, 'edu: Unknown symbol sys_call_table (err -2)'],
    [DEBIAN, 'edu: Unknown symbol sys_call_table (err -2)'],
  ])('S001-1: %s: what is not exported is unknown: %s', (profile, line) => {
    const run = machine(profile, '', shell('insmod ./edu.ko'))
    expect(logOf(run.k)).toContain(line)
    expect(shown(run, 1)).toBe(
      'insmod: ERROR: could not insert module ./edu.ko: Unknown symbol in module\n',
    )
  })

  test('S001-2, S001-3: the patch adds an export; the symbol itself has always been there', async () => {
    const plain = machine(OLD, '', '  - snapshot: up\n').k
    const patched = machine(OLD, 'exports: [sys_call_table]', shell('insmod ./edu.ko'))
    expect(shown(patched, 1)).toBe('')
    expect(plain.symbols.has('sys_call_table')).toBe(true)
    expect(plain.symbols.has('__ksymtab_sys_call_table')).toBe(false)
    const entry = toVa(patched.k.sym('__ksymtab_sys_call_table'), 4)
    // the entry holds the distances to the symbol and to its name
    expect(entry + (patched.k.mem.u32(entry) | 0)).toBe(toVa(patched.k.sym('sys_call_table'), 4))
    expect(entry + 4 + (patched.k.mem.u32(entry + 4) | 0)).toBe(
      toVa(patched.k.sym('__kstrtab_sys_call_table'), 4),
    )
    expect(await crash(recordedTarget('unexported-symbol'), 'sym sys_call_table')).toContain('(D)')
  })
})

describe('edu', () => {
  const log = logLines('fork-intercept')

  test('S001-4: done/n: no newline, so that on 2.6 the next level is text in the middle of the line', () => {
    expect(log).toContain('[edu]   Module successfully loaded')
    expect(log).toContain(
      '[edu]   Intercepting fork() syscall... <1>done/n<1>[edu]   Starting Loging system calls',
    )
    const records = logOf(machine(UBUNTU, PATCHED, shell('insmod edu.ko')).k).slice(-4)
    expect(records).toEqual([
      '[edu]   Module successfully loaded',
      '[edu]   Intercepting fork() syscall... ',
      'done/n',
      '[edu]   Starting Loging system calls',
    ])
  })

  test("S001-5: the caller's pid, before the call is made; the child's pid goes through", () => {
    expect(log).toContain('[edu]   fork syscall intercepted from 889')
    expect(programRow(fork, 'free').stdout).toMatch(/^parent: child \d+$/m)
    expect(programRow(fork, 'library').stdout).toMatch(/^parent: child \d+$/m)
  })

  test('S001-6: unloading says so and puts the entry back', () => {
    expect(log).toContain('[edu]   Stopping loging system calls')
    const run = machine(OLD, PATCHED, '  - snapshot: up\n')
    const before = entryAt(run.k, 2)
    const after = machine(OLD, PATCHED, shell('insmod edu.ko') + shell('rmmod edu'))
    expect(entryAt(after.k, 2)).toBe(before)
    expect(before).toBe(after.k.sym('sys_fork'))
  })

  test('S001-7, S001-11: who is refused cannot start a command; the others can', () => {
    expect(programRow(fork, 'banned')).toMatchObject({ pid: 890, exit: { status: 1 } })
    expect(programRow(fork, 'banned').stderr).toContain('Operation not permitted')
    expect(programRow(fork, 'free').exit).toEqual({ status: 0, signal: 0 })
    const run = machine(OLD, PATCHED, shell('insmod edu.ko') + shell('modinfo edu.ko'))
    expect(shown(run, 2)).toContain('pid:The PID to which we deny fork() (int)')
  })

  test('S001-7: without the call-through every fork fails, and no command can be started from a shell', () => {
    const lines = ['uname -r', 'uname -r | cat', 'pwd']
    const steps = `  - insmod: { module: mute_fork }\n${lines.map(shell).join('')}`
    const run = machine(OLD, PATCHED, steps)
    expect(shown(run, 2)).toBe('-bash: fork: Operation not permitted\n')
    expect(shown(run, 3)).not.toContain('2.6.24')
    // what the shell does itself needs no process
    expect(shown(run, 4)).toBe('/root\n')
  })

  test('S001-8: numbers of i386 and x86-64', () => {
    const names = ['fork', 'open', 'clone', 'openat']
    expect(names.map(ia32SyscallNumber)).toEqual([2, 5, 120, 295])
    expect(names.map(syscallNumber)).toEqual([57, 2, 56, 257])
  })

  test("S001-9: the C library's fork is clone, its open openat: nothing is logged", () => {
    expect(programRow(fork, 'library').exit).toEqual({ status: 0, signal: 0 })
    const library = programRow(fork, 'library').pid
    expect(log.filter((line) => line.includes(`from ${library}`))).toEqual([])
    const lines = logLines('open-log')
    expect(lines.filter((line) => line.includes('letter opened'))).toHaveLength(1)
  })

  test('S001-12: a parameter that is no number', () => {
    const run = machine(OLD, PATCHED, shell('insmod ./edu.ko pid=abc'))
    expect(logOf(run.k)).toContain("edu: `abc' invalid for parameter `pid'")
    expect(shown(run, 1)).toContain('Invalid parameters')
  })

  test('S001-16: a second load of one name', () => {
    const run = machine(OLD, PATCHED, shell('insmod ./edu.ko') + shell('insmod ./edu.ko'))
    expect(shown(run, 2)).toBe('insmod: ERROR: could not insert module ./edu.ko: File exists\n')
  })

  test('an unknown parameter is let pass since 3.11, and was an error before', () => {
    const old = machine(OLD, PATCHED, shell('insmod ./edu.ko nice=1'))
    expect(logOf(old.k)).toContain("edu: Unknown parameter `nice'")
    expect(shown(old, 1)).toContain('Unknown symbol in module')
    const later = machine(I386, PATCHED, shell('insmod ./edu.ko nice=1'))
    expect(logOf(later.k)).toContain("edu: unknown parameter 'nice' ignored")
    expect(shown(later, 1)).toBe('')
  })
})

describe('open', () => {
  test('S001-10: name and user are logged; getname is exported to old modules alone', () => {
    const lines = logLines('open-log')
    expect(lines).toContain('[open_logger] letter opened by uid 0')
    expect(lines).toContain('[open_logger] nothing opened by uid 1000')
  })

  test('S001-13: one name is refused, as the program writes it', () => {
    const lines = logLines('softice-deny')
    expect(lines.filter((line) => line.startsWith('[softice] open of softice denied'))).toHaveLength(2)
  })

  test('S001-17: since 4.17 a hook with the old prototype reads the address of the registers', () => {
    expect(logLines('open-log')).toContain('[open_logger] (efault) opened by uid 0')
    const run = machine(
      I386,
      PATCHED,
      shell('insmod open_logger.ko prototype=old') + shell('./opentest letter'),
    )
    // where arguments are on the stack it is right
    expect(logOf(run.k)).toContain('[open_logger] letter opened by uid 0')
    expect(EFAULT).toBe(14)
  })
})

describe('shackles', () => {
  test('S001-14: four numbers, one process', () => {
    const target = recordedTarget('shackles')
    expect(programRow(target, 'unsupported').stderr).toContain('Invalid parameters')
    expect(logLines('shackles').filter((line) => line.startsWith('[shackles]'))).toEqual([
      '[shackles] kill denied to 890',
    ])
  })

  test('S001-15: taken out in the wrong order, the second hook is bypassed first, and dangles in the end', () => {
    const run = machine(
      OLD,
      PATCHED,
      shell('insmod open_logger.ko') + shell('insmod softice.ko') + shell('rmmod open_logger'),
    )
    // the first wrote back what it had found: softice is loaded and asked nothing
    expect(entryAt(run.k, 5)).toBe(run.k.sym('sys_open'))
    const dangling = machine(
      OLD,
      PATCHED,
      ['insmod open_logger.ko', 'insmod softice.ko', 'rmmod open_logger', 'rmmod softice'].map(shell).join(''),
    ).k
    const entry = entryAt(dangling, 5)
    expect(entry).not.toBe(dangling.sym('sys_open'))
    expect(dangling.codeAt(entry)).toBeUndefined()
    expect(dangling.mem.isMapped(toVa(entry, 4))).toBe(false)
    const clean = machine(
      OLD,
      PATCHED,
      ['insmod open_logger.ko', 'insmod softice.ko', 'rmmod softice', 'rmmod open_logger'].map(shell).join(''),
    ).k
    expect(entryAt(clean, 5)).toBe(clean.sym('sys_open'))
  })
})

describe('CR0.WP', () => {
  test.each([DEBIAN, UBUNTU, I386])('S001-17: %s: the table is read-only until WP is cleared', (profile) => {
    const { k } = machine(profile, '', '  - snapshot: up\n')
    const at = toVa(k.sym('sys_call_table'), k.mem.wordSize)
    const value = k.mem.word(at)
    expect(() => store_word(k, at, 1n)).toThrow(KernelPageFault)
    expect(k.mem.word(at)).toBe(value)
    mov_cr0(k, read_cr0(k) & ~X86_CR0_WP)
    store_word(k, at, 1n)
    expect(k.mem.word(at)).toBe(1n)
  })

  test('S001-17: write_cr0 puts WP back since 5.3, and warns once; the instruction is not watched', () => {
    const { k } = machine(DEBIAN, '', '  - snapshot: up\n')
    for (let i = 0; i < 2; i++) write_cr0(k, read_cr0(k) & ~X86_CR0_WP)
    expect(read_cr0(k)).toBe(0x80050033n)
    expect(logOf(k).filter((line) => line === 'CR0 WP bit went missing!?')).toHaveLength(1)
    const old = machine(I386, '', '  - snapshot: up\n').k
    write_cr0(old, read_cr0(old) & ~X86_CR0_WP)
    expect(read_cr0(old)).toBe(0x8004003bn)
  })

  test('2.6 leaves the table as it is', () => {
    const { k } = machine(OLD, '', '  - snapshot: up\n')
    const at = toVa(k.sym('sys_call_table'), 4)
    expect(() => store_word(k, at, k.mem.word(at))).not.toThrow()
  })
})

describe('after every rmmod the table is as it was before insmod', () => {
  const modules = ['edu', 'open_logger', 'softice', 'shackles pid=1 call=NR', 'fwnet', 'adds']
  const cases = [OLD, I386, UBUNTU, DEBIAN].flatMap((profile) => modules.map((m) => [profile, m] as const))
  test.each(cases)('%s: %s', (profile, given) => {
    const wide = profile === UBUNTU || profile === DEBIAN
    const [name = '', ...params] = given.replace('NR', wide ? '62' : '37').split(' ')
    const tables = ['sys_call_table', 'ia32_sys_call_table']
    let before: string[] = []
    const bytes = (k: Parameters<typeof tableBytes>[0]): string[] =>
      tables.filter((table) => k.symbols.has(table)).map((table) => tableBytes(k, table))
    const run = machine(
      profile,
      PATCHED,
      shell(`insmod ${[`${name}.ko`, ...params].join(' ')}`) + shell(`rmmod ${name}`),
      ({ k }) => (before = bytes(k)),
    )
    // the 64-bit kernel without the table of 32-bit programs has nothing for fwnet
    if (!(name === 'fwnet' && profile === DEBIAN)) expect([shown(run, 1), shown(run, 2)]).toEqual(['', ''])
    expect(bytes(run.k)).toEqual(before)
  })
})
