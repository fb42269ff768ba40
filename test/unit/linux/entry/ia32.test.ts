/** System calls of 32-bit programs: numbers, tables, registers. */

import { describe, expect, test } from 'vitest'
import { TIF_ADDR32, TS_COMPAT } from '../../../../src/abi/sched.ts'
import {
  ia32Calls,
  ia32Handler,
  ia32SyscallNumber,
  NR_ia32_syscalls,
} from '../../../../src/abi/syscalls-ia32.ts'
import { toVa } from '../../../../src/base/addr.ts'
import { lookup_address } from '../../../../src/linux/arch/x86/mm/pageattr.ts'
import { task_pt_regs } from '../../../../src/linux/arch/x86/kernel/stack.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { task_stack_page } from '../../../../src/linux/kernel/sched/core.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { spawn } from '../../../../src/userland/init.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { loadLayout } from '../../../../src/layouts/layout.ts'
import { _PAGE_RW } from '../../../../src/abi/page.ts'
import { DEBIAN, entryAt, I386, machine, UBUNTU } from '../../../support/system-calls.ts'

const SERVER = '  - run: { name: server, pid: 700, parent: shell, argv: [tcpserv32, -p, "10001"] }\n'
/** Removed from the kernel; old ones have a handler. */
const GONE = ['bdflush', '_sysctl']

describe('numbers', () => {
  test.each([
    ['exit', 1],
    ['socketcall', 102],
    ['_llseek', 140],
    ['vfork', 190],
    ['gettid', 224],
    ['exit_group', 252],
    ['openat', 295],
    ['finit_module', 350],
    ['socket', 359],
    ['clock_gettime64', 403],
    ['set_mempolicy_home_node', 450],
  ])('%s is %i', (name, nr) => expect(ia32SyscallNumber(name)).toBe(nr))

  test('every handler of 6.1 is a symbol of that kernel', () => {
    const symbols = new Set(loadLayout('linux-6.1.192-x86_64').symbols.map(({ name }) => name))
    const unknown = ia32Calls.flatMap((call, nr) => {
      const handler = ia32Handler(nr)
      return call === undefined || handler === undefined || symbols.has(handler) ? [] : [call.name]
    })
    expect(unknown).toEqual(GONE)
    expect(ia32Calls).toHaveLength(NR_ia32_syscalls)
  })
})

describe('int $0x80', () => {
  test('a call in progress: registers of 32 bits, the task marked, nothing of the 64-bit program', () => {
    const { k } = machine(UBUNTU, '', SERVER)
    const task = find_task_by_vpid(k, 700)
    if (task === null) throw new Error('no server')
    const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, task)))
    expect([regs.orig_ax, regs.bx, regs.cs, regs.ss]).toEqual([102n, 5n, 0x23n, 0x2bn])
    expect([regs.r8, regs.r15]).toEqual([0n, 0n])
    expect(regs.sp).toBeLessThan(1n << 32n)
    expect(task.thread_info.status & TS_COMPAT).toBe(TS_COMPAT)
    expect((task.thread_info.flags >> BigInt(TIF_ADDR32)) & 1n).toBe(1n)
  })

  test('after the call the mark is gone', () => {
    const { k } = machine(
      UBUNTU,
      '',
      `  - run: { name: c, pid: 701, parent: shell, argv: [tcpcli32, -h, 127.0.0.1, -p, "1"] }\n${SERVER}`,
      ({ k: kernel }) => {
        kernel.watch('syscall_exit_to_user_mode', {
          entered: () => undefined,
          returned: () => undefined,
        })
      },
    )
    const task = find_task_by_vpid(k, 500)
    expect((task?.thread_info.status ?? 0) & TS_COMPAT).toBe(0)
  })

  test('a kernel with the switch has no table, and the calls work', () => {
    const { k } = machine(DEBIAN, '', SERVER)
    expect(k.symbols.has('ia32_sys_call_table')).toBe(false)
    expect(find_task_by_vpid(k, 700)?.__state).toBe(1)
    expect(k.symbols.has('x64_sys_call')).toBe(true)
    expect(machine(UBUNTU, '', '  - snapshot: up\n').k.symbols.has('x64_sys_call')).toBe(false)
  })

  test('the table: every entry a function of the kernel, sys_ni_syscall where nothing is', () => {
    const { k } = machine(UBUNTU, '', '  - snapshot: up\n')
    const none = k.sym('__ia32_sys_ni_syscall')
    const text = [k.sym('_stext'), k.sym('_etext')] as const
    ia32Calls.forEach((call, nr) => {
      const entry = entryAt(k, nr, 'ia32_sys_call_table')
      expect(entry >= text[0] && entry < text[1]).toBe(true)
      if (call === undefined) expect(entry).toBe(none)
    })
    expect(entryAt(k, 102, 'ia32_sys_call_table')).toBe(k.sym('__ia32_compat_sys_socketcall'))
  })
})

describe('read-only data', () => {
  test.each([DEBIAN, UBUNTU, I386])('%s: the tables cannot be written to, data can', (profile) => {
    const { k } = machine(profile, '', '  - snapshot: up\n')
    const writable = (symbol: string): boolean =>
      ((lookup_address(k, toVa(k.sym(symbol), k.mem.wordSize))?.value ?? 0n) & _PAGE_RW) !== 0n
    expect([writable('_text'), writable('sys_call_table'), writable('init_task')]).toEqual([
      false,
      false,
      true,
    ])
    expect(lookup_address(k, k.mem.wordSize === 8 ? -0x1000_0000 : 0xff00_0000)).toBeUndefined()
  })
})

describe('messages of 32-bit programs', () => {
  /** `struct msghdr` with two vectors, in the program's memory. */
  function* message(p: Process, parts: readonly number[], name = 0): Generator<unknown, number> {
    yield* p.syscall('getpid')
    const vectors = p.words(parts.flatMap((size) => [p.alloc(size), size]))
    return p.words([name, name === 0 ? 0 : 16, vectors, parts.length, 0, 0, 0])
  }

  test('sendmsg and recvmsg gather and scatter, and tell who sent', () => {
    const seen: Record<string, number | string> = {}
    const { k } = machine(UBUNTU, '', '  - snapshot: up\n')
    spawn(k, {
      image: { path: '/usr/bin/messages', argv: ['messages'], envp: [], narrow: true },
      program: function* (p) {
        const [rx, tx] = [yield* p.must('socket', 2, 2, 0), yield* p.must('socket', 2, 2, 0)]
        const here = p.data(Uint8Array.from([2, 0, 0x27, 0x10, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
        yield* p.must('bind', rx, here, 16)
        const out = yield* message(p, [3, 2], here)
        const vectors = p.readInt(out + 8)
        p.writeUser(p.readInt(vectors), Buffer.from('abc'))
        p.writeUser(p.readInt(vectors + 8), Buffer.from('de'))
        seen.sent = yield* p.syscall('sendmsg', tx, out, 0)
        const name = p.alloc(16)
        const into = yield* message(p, [2, 8], name)
        seen.got = yield* p.syscall('recvmsg', rx, into, 0)
        const list = p.readInt(into + 8)
        const part = (i: number, size: number): string =>
          Buffer.from(p.readUser(p.readInt(list + i * 8), size)).toString('latin1')
        seen.text = `${part(0, 2)}|${part(1, 3)}`
        seen.family = p.readInt(name, 2)
        seen.fault = yield* p.syscall('recvmsg', rx, 4, 0)
        return 0
      },
    })
    runUntilIdle(k)
    expect(seen).toEqual({ sent: 5, got: 5, text: 'ab|cde', family: 2, fault: -14 })
  })
})
