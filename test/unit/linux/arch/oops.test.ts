/** The text of an oops, line by line in the form its kernel has, and that its numbers are those of memory. */

import { describe, expect, test } from 'vitest'
import { log_records } from '../../../../src/helpers/printk.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { call_bad_address, KernelPageFault, load_word } from '../../../../src/linux/arch/x86/mm/fault.ts'
import { crash, programRow, recordedTarget, recordedText } from '../../../support/recorded.ts'
import { I386, OLD, PATCHED, UBUNTU, logOf, machine, shown } from '../../../support/system-calls.ts'

const shell = (line: string): string => `  - shell: { process: shell, line: ${JSON.stringify(line)} }\n`
const WRONG_ORDER = ['insmod open_logger.ko', 'insmod softice.ko', 'rmmod open_logger', 'rmmod softice']
const open = [...WRONG_ORDER, './opentest letter', 'uname -r'].map(shell).join('')

/** The log from a line on. */
const from = (lines: readonly string[], begin: string): string[] =>
  lines.slice(lines.findIndex((line) => line.startsWith(begin)))

const expectForms = (lines: readonly string[], forms: readonly RegExp[]): void => {
  forms.forEach((form, i) => expect(lines[i], `line ${i + 1}`).toMatch(form))
}

describe('x86-64', () => {
  const lines = from(logOf(machine(UBUNTU, PATCHED, open).k), 'BUG: ')
  const block = [
    /^RIP: 0010:0x[0-9a-f]{16}$/,
    /^Code: Unable to access opcode bytes at RIP 0x[0-9a-f]{16}\.$/,
    /^RSP: 0018:ffff[0-9a-f]{12} EFLAGS: 00010246$/,
    /^RAX: [0-9a-f]{16} RBX: [0-9a-f]{16} RCX: [0-9a-f]{16}$/,
    /^RDX: [0-9a-f]{16} RSI: [0-9a-f]{16} RDI: [0-9a-f]{16}$/,
    /^RBP: [0-9a-f]{16} R08: [0-9a-f]{16} R09: [0-9a-f]{16}$/,
    /^R10: [0-9a-f]{16} R11: [0-9a-f]{16} R12: [0-9a-f]{16}$/,
    /^R13: [0-9a-f]{16} R14: [0-9a-f]{16} R15: [0-9a-f]{16}$/,
    /^FS: {2}[0-9a-f]{16}\(0000\) GS:[0-9a-f]{16}\(0000\) knlGS:[0-9a-f]{16}$/,
    /^CS: {2}0010 DS: 0000 ES: 0000 CR0: 0000000080050033$/,
    /^CR2: [0-9a-f]{16} CR3: [0-9a-f]{16} CR4: [0-9a-f]{16}$/,
  ]

  test('every line has its form', () => {
    expectForms(lines, [
      /^BUG: unable to handle page fault for address: ffffffffc0[0-9a-f]{6}$/,
      /^#PF: supervisor instruction fetch in kernel mode$/,
      /^#PF: error_code\(0x0010\) - not-present page$/,
      /^PGD [0-9a-f]+ P4D [0-9a-f]+ PUD [0-9a-f]+ PMD [0-9a-f]+ PTE 0$/,
      /^Oops: 0010 \[#1\] SMP NOPTI$/,
      /^CPU: 0 PID: \d+ Comm: opentest Tainted: G {11}OE {5}5\.15\.0-56-generic #62-Ubuntu$/,
      ...block,
      /^Call Trace:$/,
      /^ <TASK>$/,
      /^ \? do_syscall_64\+0x[0-9a-f]+\/0x[0-9a-f]+$/,
      /^ entry_SYSCALL_64_after_hwframe\+0x[0-9a-f]+\/0x[0-9a-f]+$/,
    ])
    expectForms(from(lines, ' </TASK>'), [
      /^ <\/TASK>$/,
      /^Modules linked in: \[last unloaded: softice\]$/,
      /^CR2: ffffffffc0[0-9a-f]{6}$/,
      /^---\[ end trace [0-9a-f]{16} \]---$/,
      ...block,
    ])
  })

  test('the CR2 of the registers is that of the look at the code, 42 bytes before; the later line has the fault', () => {
    const address = BigInt(`0x${/: (\w+)$/.exec(lines[0] ?? '')?.[1] ?? ''}`)
    const [inBlock] = from(lines, 'CR2: ')
    expect(inBlock?.slice(5, 21)).toBe((address - 42n).toString(16))
    const tail = from(lines, 'Modules linked in')
    expect(tail[1]).toBe(`CR2: ${address.toString(16)}`)
  })

  test('the process is killed, the kernel is tainted D and goes on', () => {
    const run = machine(UBUNTU, PATCHED, open + shell('./opentest letter'))
    expect(shown(run, 5)).toBe('Killed\n')
    expect(shown(run, 6)).toBe('5.15.0-56-generic\n')
    expect(logOf(run.k).filter((line) => line.startsWith('Oops: '))).toEqual([
      'Oops: 0010 [#1] SMP NOPTI',
      'Oops: 0010 [#2] SMP NOPTI',
    ])
    expect(logOf(run.k).findLast((line) => line.startsWith('CPU: '))).toContain('Tainted: G      D    OE')
  })

  test('nothing but the kernel: a call through NULL', () => {
    const run = machine(UBUNTU, '', '  - snapshot: up\n')
    expect(() => call_bad_address(run.k, 0n)).toThrow(KernelPageFault)
    const log = from(logOf(run.k), 'BUG: ')
    expect(log[0]).toBe('BUG: kernel NULL pointer dereference, address: 0000000000000000')
    expect(from(log, 'RIP: ')[1]).toBe('Code: Unable to access opcode bytes at RIP 0xffffffffffffffd6.')
    expect(() => load_word(run.k, 0x18)).toThrow(KernelPageFault)
    expect(logOf(run.k)).toContain('#PF: supervisor read access in kernel mode')
    expect(logOf(run.k)).toContain('#PF: error_code(0x0000) - not-present page')
  })
})

describe('a NULL pointer in a module, 6.1', () => {
  const target = recordedTarget('null-deref')
  const lines = from(
    [...log_records(target)].map(({ text }) => text),
    'BUG: ',
  )

  test('the address is the member’s offset; function and module are named', () => {
    expectForms(lines, [
      /^BUG: kernel NULL pointer dereference, address: 0000000000000018$/,
      /^#PF: supervisor read access in kernel mode$/,
      /^#PF: error_code\(0x0000\) - not-present page$/,
      /^PGD 0 P4D 0 $/,
      /^Oops: 0000 \[#1\] PREEMPT SMP NOPTI$/,
      /^CPU: 0 PID: \d+ Comm: insmod Tainted: G {11}OE {6}6\.1\.0-56-amd64 #1 {2}Debian 6\.1\.192-2$/,
      /^RIP: 0010:read_limit\+0x[0-9a-f]+\/0x[0-9a-f]+ \[null_deref\]$/,
      /^Code: ([0-9a-f]{2} ){42}<[0-9a-f]{2}>( [0-9a-f]{2}){21}$/,
    ])
    expect(lines).toContain('Modules linked in: null_deref(OE+)')
    expect(lines).toContain('---[ end trace 0000000000000000 ]---')
  })

  test('the trace begins with the fault’s own frames, then goes from the module’s on', () => {
    const trace = from(lines, 'Call Trace:').flatMap((line) => /^ (\? )?(\w+)\+0x/.exec(line)?.[0] ?? [])
    expect(trace.map((name) => name.replace('+0x', ''))).toEqual([
      ...[' ? __die', ' ? page_fault_oops', ' ? exc_page_fault', ' ? asm_exc_page_fault', ' ? read_limit'],
      ...[
        ' null_deref_init',
        ' do_one_initcall',
        ' do_init_module',
        ' load_module',
        ' __do_sys_finit_module',
      ],
      ...[' do_syscall_64', ' entry_SYSCALL_64_after_hwframe'],
    ])
    expect(from(lines, 'Call Trace:').find((line) => line.startsWith('RIP: 0033:0x'))).toBeDefined()
  })
})

describe('i386', () => {
  test('3.13: every line has its form', () => {
    const lines = from(logOf(machine(I386, PATCHED, open).k), 'BUG: ')
    const at = /at ([0-9a-f]{8})$/.exec(lines[0] ?? '')?.[1] ?? ''
    const before = (BigInt(`0x${at}`) - 1n).toString(16)
    expectForms(lines, [
      /^BUG: unable to handle kernel paging request at [0-9a-f]{8}$/,
      new RegExp(`^IP: \\[<${at}>\\] 0x${before}$`),
      /^\*pdpt = [0-9a-f]{16} \*pde = [0-9a-f]{16} \*pte = 0{16} $/,
      /^Oops: 0010 \[#1\] SMP $/,
      /^Modules linked in: \[last unloaded: softice\]$/,
      /^CPU: 0 PID: \d+ Comm: opentest Tainted: G {11}OX 3\.13\.0-37-generic #64-Ubuntu$/,
      /^task: [0-9a-f]{8} ti: [0-9a-f]{8} task\.ti: [0-9a-f]{8}$/,
      new RegExp(`^EIP: 0060:\\[<${at}>\\] EFLAGS: 00010246 CPU: 0$`),
      new RegExp(`^EIP is at 0x${at}$`),
      /^EAX: 00000005 EBX: [0-9a-f]{8} ECX: [0-9a-f]{8} EDX: [0-9a-f]{8}$/,
      /^ESI: [0-9a-f]{8} EDI: [0-9a-f]{8} EBP: [0-9a-f]{8} ESP: [0-9a-f]{8}$/,
      /^ DS: 007b ES: 007b FS: 00d8 GS: 00e0 SS: 0068$/,
      new RegExp(`^CR0: 8005003b CR2: ${at} CR3: [0-9a-f]{8} CR4: [0-9a-f]{8}$`),
      /^Stack:$/,
      /^( [0-9a-f]{8}){8}$/,
    ])
    expectForms(from(lines, 'Call Trace:'), [
      /^Call Trace:$/,
      /^ \[<[0-9a-f]{8}>\] \? system_call\+0x[0-9a-f]+\/0x[0-9a-f]+$/,
      /^Code: {2}Bad EIP value\.$/,
      new RegExp(`^EIP: \\[<${at}>\\] 0x${at} SS:ESP 0068:[0-9a-f]{8}$`),
      new RegExp(`^CR2: 00000000${at}$`),
      /^---\[ end trace [0-9a-f]{16} \]---$/,
    ])
  })

  test('2.6.24: as it was then', () => {
    const lines = from(logOf(machine(OLD, PATCHED, open).k), 'BUG: ')
    expectForms(lines, [
      /^BUG: unable to handle kernel paging request at virtual address [0-9a-f]{8}$/,
      /^printing eip: [0-9a-f]{8} \*pde = [0-9a-f]{8} \*pte = 00000000 $/,
      /^Oops: 0010 \[#1\] SMP $/,
      /^Modules linked in:$/,
      /^$/,
      /^Pid: \d+, comm: opentest Not tainted \(2\.6\.24 #1\)$/,
    ])
    expect(lines).toContainEqual(
      expect.stringMatching(/^Process opentest \(pid: \d+, ti=\w+ task=\w+ task\.ti=\w+\)$/),
    )
  })
})

describe('S000-23: a process that sleeps in a hook that is gone', () => {
  test('dies when it wakes: at the instruction behind the call', () => {
    const target = recordedTarget('rmmod-under-sleeper')
    expect(programRow(target, 'server').exit).toEqual({ status: 0, signal: 9 })
  })

  test('the fault is at a return address of its stack, and nothing happens before', async () => {
    const asleep = recordedTarget('rmmod-under-sleeper', 'asleep')
    const log = await crash(recordedTarget('rmmod-under-sleeper'), 'log')
    const at = /paging request at ([0-9a-f]{8})/.exec(log)?.[1] ?? ''
    expect(asleep.symbolize(BigInt(`0x${at}`))).toMatchObject({ name: 'new_sys_socketcall', module: 'fwnet' })
    expect(await crash(asleep, 'bt -r 700')).toMatch(/new_sys_socketcall\+/)
    expect(await crash(recordedTarget('rmmod-under-sleeper', 'unloaded'), 'log')).not.toContain('BUG: ')
  })
})

describe('S001-15: the crash', () => {
  test('is at the first call after the second rmmod', () => {
    const run = machine(OLD, PATCHED, WRONG_ORDER.map(shell).join(''))
    expect(logOf(run.k).some((line) => line.startsWith('BUG: '))).toBe(false)
    expect(find_task_by_vpid(run.k, 500)).not.toBeNull()
    const log = logOf(machine(OLD, PATCHED, open).k)
    expect(log.filter((line) => line.startsWith('BUG: '))).toHaveLength(1)
  })
})

describe('the dump of a machine that has panicked', () => {
  const target = recordedTarget('stacked-hooks-oops', 'crashed')

  test('bt has the fault: its frames, its registers, and who called', async () => {
    const bt = await crash(target, 'bt')
    const functions = [...bt.matchAll(/^ ?#\d+ \[\w+\] (\w+)/gm)].map(([, name]) => name)
    expect(functions[0]).toBe('panic')
    expect(functions.slice(functions.indexOf('page_fault_oops'))).toEqual([
      'page_fault_oops',
      'exc_page_fault',
      'asm_exc_page_fault',
      'do_syscall_64',
      'entry_SYSCALL_64_after_hwframe',
    ])
    expect(bt).toContain('[exception RIP: unknown or invalid address]')
  })

  test('set and sys know the task and the reason', async () => {
    expect(await crash(target, 'set')).toMatch(/COMMAND: "opentest"[^]*TASK_RUNNING \(PANIC\)/)
    expect(await crash(target, 'sys')).toContain('PANIC: "Oops: 0010 [#1] SMP NOPTI" (check log for details)')
    expect(await crash(target, 'log')).toMatch(
      /Kernel panic - not syncing: Fatal exception\n[^]*end Kernel panic - not syncing: Fatal exception \]---\n$/,
    )
  })

  test('sym says what lay at an address of an unloaded module', async () => {
    expect(await crash(target, 'sym ffffffffc0000000')).toBe(
      'sym: invalid address: ffffffffc0000000  [logged_open of open_logger (snapshot stacked) lay there]\n',
    )
  })

  test('no step runs after it', () => {
    const text = `profile: ${UBUNTU}
panic_on_oops: true
exports: [sys_call_table]
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
steps:
${open}`
    expect(() => recordedText(text)).toThrow(/the kernel has panicked: Fatal exception/)
  })

  test('i386: the same way', async () => {
    const text = `profile: ${I386}
panic_on_oops: true
memory: 128M
exports: [sys_call_table]
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
steps:
${[...WRONG_ORDER, './opentest letter'].map(shell).join('')}`
    const dump = recordedText(text, 'crashed')
    const bt = await crash(dump, 'bt')
    const functions = [...bt.matchAll(/^ ?#\d+ \[\w+\] (\w+)/gm)].map(([, name]) => name)
    expect(functions).toEqual([
      'panic',
      'oops_end',
      'no_context',
      'do_page_fault',
      'page_fault',
      'system_call',
    ])
    expect(bt).toMatch(/^ {4}CS: {2}0060 {6}EIP: [0-9a-f]{8} {2}ERR: ffffffff {2}EFLAGS: 00010246$/m)
    expect(await crash(dump, 'bt -e')).toMatch(/CS: {2}0060/)
    expect(await crash(dump, 'sys')).toContain('PANIC: "BUG: unable to handle kernel paging request at ')
    expect(await crash(dump, 'set')).toContain('opentest')
  })
})
