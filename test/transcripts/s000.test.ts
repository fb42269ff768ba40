/**
 * The article on intercepted network system calls (socketcall, module fwnet), statement by statement.
 *
 * Out of scope, being about tools outside the kernel: `grep` over unistd_32.h and unistd_64.h (S000-1) is asked of the
 * tables of numbers here. S000-23, what becomes of a task that sleeps in the hook when the module is unloaded, ends in an
 * oops and has a scenario of its own, rmmod-under-sleeper; that the unloading itself succeeds is below.
 */

import { describe, expect, test } from 'vitest'
import { EFAULT, EINVAL } from '../../src/abi/errno.ts'
import * as net from '../../src/abi/socket.ts'
import { ia32SyscallNumber } from '../../src/abi/syscalls-ia32.ts'
import { i386Table } from '../../src/abi/syscalls-i386.ts'
import { syscallNumber } from '../../src/abi/syscalls-x86_64.ts'
import { toVa } from '../../src/base/addr.ts'
import { rowsOf } from '../../src/explain/history.ts'
import { log_records } from '../../src/helpers/printk.ts'
import { task_pt_regs } from '../../src/linux/arch/x86/kernel/stack.ts'
import { find_task_by_vpid } from '../../src/linux/kernel/pid.ts'
import { task_stack_page } from '../../src/linux/kernel/sched/core.ts'
import { loadedModules, moduleOf } from '../../src/linux/kernel/module/api.ts'
import type { Run } from '../../src/scenario/run.ts'
import { readerOf } from '../support/reader.ts'
import { crash, recordedTarget, socketAt } from '../support/recorded.ts'
import { DEBIAN, entryAt, I386, logOf, machine, PATCHED, shown, UBUNTU } from '../support/system-calls.ts'

const SOCKETCALL = 102
const deny = recordedTarget('fwnet-deny')
const leak = recordedTarget('fwnet-accept-leak')
const compat = recordedTarget('compat-socketcall')

/** What a line of the transcript showed, by its words. */
function terminal(line: string): string[] {
  const rows = rowsOf<{ summary: string; output?: string }>(deny, 'steps')
  return rows.filter(({ summary }) => summary.includes(line)).map(({ output = '' }) => output)
}
/** The log with times in microseconds. */
const log = [...log_records(deny)].map(({ ts_nsec, text }) => ({ us: Number(ts_nsec / 1000n), text }))
const timeOf = (text: string): number => log.find((line) => line.text.startsWith(text))?.us ?? NaN

const shell = (line: string): string => `  - shell: { process: shell, line: ${JSON.stringify(line)} }\n`
const call = (args: string): string => `  - syscall: { process: t, call: socketcall, args: [${args}] }\n`
const TESTER = '  - run: { name: t, pid: 600, parent: shell, argv: [syscalls] }\n'

/** What socketcall returned, call after call. */
function results(profile: string, head: string, steps: string): number[] {
  const list: number[] = []
  machine(profile, head, steps, ({ k }) => {
    k.watch('sys_socketcall', {
      entered: () => undefined,
      returned: (_info, result) => {
        if (k.current.pid === 600) list.push(Number(result))
      },
    })
  })
  return list
}

describe('socketcall', () => {
  test('S000-1: i386 has one call for all of them, x86-64 one for each', () => {
    expect(ia32SyscallNumber('socketcall')).toBe(SOCKETCALL)
    expect(syscallNumber('socketcall')).toBe(-1)
    expect(syscallNumber('connect')).toBe(42)
    expect(i386Table('3.13.0-37-generic')[SOCKETCALL]).toBe('sys_socketcall')
    expect(i386Table('3.13.0-37-generic')).not.toContain('sys_connect')
    // direct calls came with 4.3
    const direct = ['socket', 'bind', 'connect', 'listen', 'accept4', 'shutdown']
    expect(direct.map(ia32SyscallNumber)).toEqual([359, 361, 362, 363, 364, 373])
    expect(['accept', 'send', 'recv'].map(ia32SyscallNumber)).toEqual([-1, -1, -1])
  })

  test('S000-2: words of arguments by call, 21 entries', () => {
    expect(net.SOCKETCALL_NARGS.map((words) => words * 4)).toEqual([
      0, 12, 12, 12, 8, 12, 12, 12, 16, 16, 16, 24, 24, 8, 20, 20, 12, 12, 16, 20, 16,
    ])
  })

  test('S000-3: numbers of the calls', () => {
    const names = [
      'SOCKET', 'BIND', 'CONNECT', 'LISTEN', 'ACCEPT', 'GETSOCKNAME', 'GETPEERNAME', 'SOCKETPAIR', 'SEND', 'RECV', 'SENDTO',
      'RECVFROM', 'SHUTDOWN', 'SETSOCKOPT', 'GETSOCKOPT', 'SENDMSG', 'RECVMSG', 'ACCEPT4', 'RECVMMSG', 'SENDMMSG',
    ] // prettier-ignore
    const numbers = net as unknown as Readonly<Record<string, number>>
    expect(names.map((name) => numbers[`SYS_${name}`])).toEqual(names.map((_, i) => i + 1))
  })

  test('S000-4: no such call, no such arguments', () => {
    const steps = TESTER + call('0, { buffer: 24 }') + call('21, { buffer: 24 }') + call('1, 4')
    expect(results(I386, '', steps)).toEqual([-EINVAL, -EINVAL, -EFAULT])
  })

  test('S000-4: exactly the words of the call are read', () => {
    // SYS_SHUTDOWN takes two words: they may be the last of the heap
    let end = 0n
    const edge = (run: Run): void => {
      const mm = find_task_by_vpid(run.k, 600)?.mm
      end = mm === null || mm === undefined ? 0n : mm.brk
    }
    const probe = machine(I386, '', TESTER)
    edge(probe)
    const at = (bytes: number): string => call(`${net.SYS_SHUTDOWN}, ${end - BigInt(bytes)}`)
    // whole: a bad descriptor is what is wrong; one word short: nothing can be read
    expect(results(I386, '', TESTER + at(8) + at(4))).toEqual([-88, -EFAULT])
  })

  test('S000-5: eax is 102, ebx the call, ecx its arguments', () => {
    const { k } = machine(
      I386,
      '',
      '  - run: { name: server, pid: 700, parent: shell, argv: [tcpserv, -p, "10001"] }\n',
    )
    const task = find_task_by_vpid(k, 700)
    if (task === null) throw new Error('no server')
    const regs = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, task)))
    expect([regs.orig_ax, regs.bx]).toEqual([BigInt(SOCKETCALL), BigInt(net.SYS_ACCEPT)])
    // the array is the program's: descriptor 3 first
    expect(regs.cx).toBeGreaterThan(0x0804_8000n)
    expect(regs.cx).toBeLessThan(0xc000_0000n)
  })

  test('S000-6: 32-bit programs of x86-64 have a table of their own, with 102 as well', async () => {
    expect(await crash(compat.at('inside'), 'bt 700')).toContain('entry_INT80_compat')
    expect(await crash(compat.at('inside'), 'bt 700')).toContain('__do_compat_sys_socketcall')
    const inside = await crash(compat.at('inside'), 'bt 700')
    expect(inside).toContain('ORIG_RAX: 0000000000000066  CS: 0023')
    const clients = rowsOf<{ summary: string; output?: string }>(compat, 'steps').map((row) => row.output)
    expect(clients).toContain("client: can't connect to server: Permission denied\n")
    expect(clients).toContain('connected to 127.0.0.1:10000\nthrough\n')
  })

  test('S000-6: since 6.1.85 that table has gone as well: the module finds none', () => {
    const run = machine(DEBIAN, PATCHED, shell('insmod fwnet.ko'))
    expect(logOf(run.k)).toContain('! sys_call_table not found')
    expect(shown(run, 1)).toContain('Invalid parameters')
  })
})

describe('loading fwnet', () => {
  test('S000-7: insmod is silent; lsmod has its size and no users', () => {
    expect(terminal('sudo insmod fwnet.ko')[0]).toBe('')
    expect(terminal('lsmod')).toEqual([
      'Module                  Size  Used by\nfwnet                  13116  0\n',
    ])
  })

  test('S000-8: the log of the load', () => {
    expect(terminal('dmesg | tail -n10')[0]?.split('\n')).toEqual([
      '[  786.609568] ! denied IP: 192.168.56.101',
      '[  786.609572] ! denied TCP port: 10000',
      '[  786.613047] ! sys_call_table address = c15b4000',
      '[  786.636336] ! symbol sys_accept address = c149a070, not found in sys_call_table',
      '[  786.656437] ! symbol sys_connect address = c149a0a0, not found in sys_call_table',
      '[  786.661444] ! symbol sys_socketcall address = c149acd0, position in sys_call_table = 102',
      '[  786.663994] ! CR0 = 8005003b',
      '[  786.664090] ! CR0 = 8004003b',
      '[  786.664096] ! CR0 = 8005003b',
      '[  786.664100] ! install new sys_socketcall handler: e1ad50d0',
      '',
    ])
  })

  test('S000-8: without parameters: no address, no port, and nothing that is only for debugging', () => {
    const lines = logOf(machine(I386, '', shell('insmod fwnet.ko')).k).filter((line) => line.startsWith('!'))
    expect(lines).toHaveLength(2)
    expect(lines[0]).toBe('! denied IP: no')
    expect(lines[1]).toMatch(/^! install new sys_socketcall handler: [0-9a-f]{8}$/)
  })

  test('S000-9: write protection is the one bit that differs; x86-64 has no TS', () => {
    const values = log.flatMap(({ text }) => /^! CR0 = ([0-9a-f]+)$/.exec(text)?.[1] ?? []).slice(0, 3)
    const [first = 0, second = 0, third = 0] = values.map((hex) => parseInt(hex, 16))
    expect([(first ^ second) >>> 0, first]).toEqual([1 << 16, third])
    const wide = logOf(machine(UBUNTU, PATCHED, shell('insmod fwnet.ko debug=1')).k)
    expect(wide.filter((line) => line.startsWith('! CR0'))).toEqual([
      '! CR0 = 80050033',
      '! CR0 = 80040033',
      '! CR0 = 80050033',
    ])
  })

  test('S000-10: a walk over all symbols takes milliseconds, what comes after it microseconds', () => {
    expect(timeOf('! symbol sys_connect') - timeOf('! symbol sys_accept')).toBeGreaterThan(10_000)
    expect(timeOf('! install') - timeOf('! CR0')).toBeLessThan(200)
    // where no time is given, a walk takes some by itself
    const own = [...log_records(readerOf(machine(I386, '', shell('insmod fwnet.ko debug=1')).k))]
    const at = (text: string): number => Number(own.find((line) => line.text.startsWith(text))?.ts_nsec)
    expect(at('! symbol sys_connect') - at('! symbol sys_accept')).toBeGreaterThan(1_000_000)
  })

  test('S000-11: accept and connect are functions, one behind the other, but no entries', () => {
    const { k } = machine(I386, '', '  - snapshot: up\n')
    const names = ['sys_accept', 'sys_connect', 'sys_socketcall']
    const [accept = 0n, connect = 0n, socketcall = 0n] = names.map((name) => k.sym(name))
    expect(accept < connect && connect < socketcall).toBe(true)
    const entries = Array.from({ length: 351 }, (_, nr) => entryAt(k, nr))
    expect([accept, connect, socketcall].map((at) => entries.includes(at))).toEqual([false, false, true])
  })

  test('S000-12: it looks as far as process_vm_writev: a direct call behind that is not found', () => {
    expect(ia32SyscallNumber('process_vm_writev')).toBe(348)
    const lines = logOf(machine(UBUNTU, PATCHED, shell('insmod fwnet.ko debug=1')).k)
    // __ia32_sys_connect is entry 362 of this table
    expect(lines.find((line) => line.includes('__ia32_sys_connect'))).toContain('not found')
  })

  test('S000-13: WP is shown cleared when the table has been written to', () => {
    const seen: bigint[] = []
    machine(I386, '', shell('insmod fwnet.ko debug=1'), ({ k }) => {
      k.watch('_printk', {
        entered: (_info, [, text]) => {
          if (String(text).startsWith('! CR0')) seen.push(entryAt(k, SOCKETCALL))
        },
        returned: () => undefined,
      })
    })
    expect(seen[0]).not.toBe(seen[1])
    expect(seen[1]).toBe(seen[2])
  })
})

describe('connections', () => {
  test('S000-14: EACCES for the client, two lines in the log', () => {
    expect(terminal('./tcpcli -v -h 127.0.0.1')).toEqual([
      "client: can't connect to server: Permission denied\n",
    ])
    expect(terminal('dmesg | tail -n3')[0]).toContain(
      '[10984.082051] ! connect to 127.0.0.1:10000\n[10984.082060] ! connect to 127.0.0.1:10000 denied\n',
    )
  })

  test('S000-15: "TCP only": a datagram socket is caught, too', () => {
    expect(log.map(({ text }) => text)).toContain('! connect to 127.0.0.1:53')
  })

  test('S000-16: accept is looked at twice: EIO before, EACCES after', () => {
    expect(log.slice(-2).map(({ text }) => text)).toEqual([
      '! accept before: port = 10000',
      '! accept from denied port 10000',
    ])
    const lines = [...log_records(leak)].map(({ text }) => text)
    expect(lines).toContain('! accept from 192.168.56.101:40000 denied')
  })

  test('S000-17: the server listens, and its accept() fails', () => {
    expect(terminal('./tcpserv')).toEqual([
      'listening on the TCP port 10000\ndenied TCP port: Input/output error\n',
    ])
  })

  test('S000-18: accept(fd, NULL, NULL) is EFAULT with the module alone', () => {
    const listening = (first: string): string =>
      `${first}${TESTER}  - syscall: { process: t, call: socket, args: [2, 2049, 0], expect: 3 }
  - syscall: { process: t, call: bind, args: [3, { sockaddr: '0.0.0.0:51000' }, 16], expect: 0 }
  - syscall: { process: t, call: listen, args: [3, 5], expect: 0 }
  - syscall: { process: t, call: accept, args: [3, 0, 0] }
`
    const last = (first: string): number | undefined => {
      const list: number[] = []
      machine(I386, '', listening(first), ({ k }) => {
        const returned = (_info: unknown, result: unknown): void => {
          if (k.current.pid === 600) list.push(Number(result))
        }
        for (const name of ['sys_socketcall', 'new_sys_socketcall'])
          k.watch(name, { entered: () => undefined, returned })
      })
      return list.at(-1)
    }
    expect(last('')).toBe(-11)
    expect(last(shell('insmod fwnet.ko'))).toBe(-14)
  })

  test('S000-19: the refused connection is there, established, behind a descriptor nobody was told', () => {
    const { sk } = socketAt(leak.at('refused'), taskPid('server'), 4)
    expect(sk.$int('__sk_common.skc_state')).toBe(1n)
    const sent = socketAt(leak.at('sent'), taskPid('server'), 4).sk
    expect(sent.$int('sk_receive_queue.qlen')).toBe(1n)
  })

  test('S000-20: with no port denied, port 0 of a zeroed AF_INET buffer is', () => {
    const lines = [...log_records(leak)].map(({ text }) => text)
    expect(lines).toContain('! accept from denied port 0')
  })

  test("S000-21: the buffers are static: what one task's call leaves there is the next one's", () => {
    const { k } = machine(
      I386,
      '',
      shell('insmod fwnet.ko') + shell('./tcpcli -h 10.1.2.3 -p 80') + shell('./tcpcli -h 10.3.2.1 -p 81'),
    )
    const sa = moduleOf(k, 'fwnet').sym('sa')
    expect([...k.mem.read(sa + 2, 6)]).toEqual([0, 81, 10, 3, 2, 1])
  })
})

describe('unloading', () => {
  test('S000-22: the old handler comes back', () => {
    expect(terminal('dmesg | grep')).toEqual([
      '[ 2890.602419] ! sys_socketcall handler before unload: e1ad50d0\n[ 2890.602439] ! restore old sys_socketcall handler: c149acd0\n',
    ])
  })

  test('S000-23: nothing keeps it from being unloaded while a task sleeps in its hook', () => {
    const run = machine(
      I386,
      '',
      `${shell('insmod fwnet.ko')}  - run: { name: server, pid: 700, parent: other, argv: [tcpserv, -p, '10001'] }
${shell('rmmod fwnet')}`,
    )
    expect(shown(run, 3)).toBe('')
    expect(loadedModules(run.k).size).toBe(0)
    expect(find_task_by_vpid(run.k, 700)?.__state).toBe(1)
  })

  test('S000-24: parameters of mode 0 are no files; a string lies in memory of its own', () => {
    const run = machine(
      I386,
      '',
      shell('insmod fwnet.ko deny=10.0.0.1') + shell('cat /sys/module/fwnet/parameters/deny'),
    )
    expect(shown(run, 2)).toContain('No such file or directory')
    const { k } = run
    const at = moduleOf(k, 'fwnet').word('deny')
    const { core_layout: core } = moduleOf(k, 'fwnet').mod
    expect(at < core.base || at >= core.base + BigInt(core.size)).toBe(true)
    expect(moduleOf(k, 'fwnet').charp('deny')).toBe('10.0.0.1')
  })

  test('S000-25: the handler is 0xd0 bytes behind the page the module begins at', () => {
    const { k } = machine(I386, '', shell('insmod fwnet.ko'))
    const self = moduleOf(k, 'fwnet')
    expect(self.sym('new_sys_socketcall') - toVa(self.mod.core_layout.base, 4)).toBe(0xd0)
  })
})

function taskPid(name: string): number {
  const row = rowsOf<{ name: string; pid: number }>(leak, 'programs').find((each) => each.name === name)
  return row?.pid ?? 0
}
