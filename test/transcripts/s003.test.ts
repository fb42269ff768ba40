/**
 * The published ncat transcript (Ubuntu 22.04, perf-tools' kprobe and crash), statement by statement: what a dump of
 * `scenarios/ubuntu-ncat.yaml` answers, from its memory and its traces.
 */

import { describe, expect, test } from 'vitest'
import { dentry_name } from '../../src/helpers/dcache.ts'
import { file_dentry, file_inode, for_each_file } from '../../src/helpers/fs.ts'
import { for_each_pid, pid_task } from '../../src/helpers/pid.ts'
import { current_task } from '../../src/helpers/sched.ts'
import { inet_addresses, SOCK_INODE, SOCKET_I } from '../../src/helpers/sock.ts'
import { task_comm, task_pid } from '../../src/helpers/task.ts'
import { lhash2_for_each } from '../../src/helpers/tcp.ts'
import { crash, recordedTarget, recordedText, segmentsOf, socketAt, stackOf, symbolAt, taskOf, traceLines } from '../support/recorded.ts' // prettier-ignore

const PID = 106445
const ubuntu = recordedTarget('ubuntu-ncat', 'crash')
const trace = (name: string): readonly string[] => traceLines(ubuntu, name)

/** From tcp_v4_rcv to the interrupted idle loop: the same in each trace of the receive path. */
const RECEIVE = [
  'tcp_v4_rcv', 'ip_protocol_deliver_rcu', 'ip_local_deliver_finish', 'ip_local_deliver', 'ip_sublist_rcv_finish',
  'ip_sublist_rcv', 'ip_list_rcv', '__netif_receive_skb_list_core', 'netif_receive_skb_list_internal',
  'napi_complete_done', 'e1000_clean', '__napi_poll', 'net_rx_action', '__do_softirq', 'irq_exit_rcu',
  'common_interrupt', 'asm_common_interrupt', 'native_safe_halt', 'acpi_idle_enter', 'cpuidle_enter_state',
  'cpuidle_enter', 'cpuidle_idle_call', 'do_idle', 'cpu_startup_entry', 'start_secondary',
  'secondary_startup_64_no_verify',
] // prettier-ignore
const ACCEPT = [
  'do_accept', '__sys_accept4_file', '__sys_accept4', '__x64_sys_accept', 'do_syscall_64',
  'entry_SYSCALL_64_after_hwframe',
] // prettier-ignore

const stack = (frames: readonly string[]): string[] => frames.map((frame) => ` => ${frame}`)

describe('kprobe', () => {
  test('S003-1: the SYN-ACK: in a softirq of the idle task, its stack 22 µs later', () => {
    expect(trace('synack').slice(0, 3)).toEqual([
      'Tracing kprobe tcp_v4_send_synack. Ctrl-C to end.',
      '          <idle>-0       [003] ..s.. 189346.050282: tcp_v4_send_synack: (tcp_v4_send_synack+0x0/0x200)',
      '          <idle>-0       [003] ..s.. 189346.050304: <stack trace>',
    ])
    expect(trace('synack').slice(-2)).toEqual(['', 'Ending tracing...'])
  })

  test('S003-2: the SYN-ACK: thirty frames, from the probe down to the start of the CPU', () => {
    const frames = ['tcp_v4_send_synack', 'tcp_v4_conn_request', 'tcp_rcv_state_process', 'tcp_v4_do_rcv']
    expect(trace('synack').slice(3, -2)).toEqual(stack([...frames, ...RECEIVE]))
    expect(frames.length + RECEIVE.length).toBe(30)
  })

  test('S003-3: frame pointers hide who called the probed function and keep the frame of one that jumps', () => {
    expect(stackOf(trace('synack'))).not.toContain('tcp_conn_request')
    expect(stackOf(trace('hashdance'))).not.toContain('tcp_check_req')
    expect(stackOf(trace('accept'))).not.toContain('inet_accept')
    expect(stackOf(trace('accept'))[0]).toBe("[unknown/kretprobe'd]")
    // Debian's ORC tables: the caller is there, and who left by a jump is not
    const debian = stackOf(traceLines(recordedTarget('handshake'), 'synack'))
    expect(debian.slice(0, 3)).toEqual(['tcp_v4_send_synack', 'tcp_conn_request', 'tcp_rcv_state_process'])
  })

  test('S003-4: the ACK completes the handshake below tcp_v4_rcv', () => {
    expect(trace('hashdance')).toEqual([
      'Tracing kprobe inet_csk_complete_hashdance. Ctrl-C to end.',
      '          <idle>-0       [003] ..s.. 189680.562646: inet_csk_complete_hashdance: (inet_csk_complete_hashdance+0x0/0x320)',
      '          <idle>-0       [003] ..s.. 189680.562667: <stack trace>',
      ...stack(['inet_csk_complete_hashdance', ...RECEIVE]),
      '',
      'Ending tracing...',
    ])
  })

  test('S003-5: accept() takes the child out in process context; ncat calls accept, not accept4', () => {
    expect(trace('accept')).toEqual([
      'Tracing kprobe inet_csk_accept. Ctrl-C to end.',
      '            ncat-108379  [001] ..... 190208.782859: inet_csk_accept: (inet_accept+0x42/0x170 <- inet_csk_accept)',
      '            ncat-108379  [001] ..... 190208.782869: <stack trace>',
      ...stack(["[unknown/kretprobe'd]", ...ACCEPT]),
      '',
      'Ending tracing...',
    ])
  })

  test('S003-6: what inet_csk_complete_hashdance returns is the child', () => {
    expect(trace('child')).toEqual([
      'Tracing kprobe inet_csk_complete_hashdance. Ctrl-C to end.',
      '          <idle>-0       [003] ..s.. 186587.749344: inet_csk_complete_hashdance: (tcp_check_req+0x1ae/0x620 <- inet_csk_complete_hashdance) child=0xffff888007a4e040',
      '          <idle>-0       [003] ..s.. 186587.749369: <stack trace>',
      ...stack(["[unknown/kretprobe'd]", ...RECEIVE]),
      '',
      'Ending tracing...',
    ])
  })

  test('S003-7: the handshake runs on CPU 3, which takes the interrupts, accept() on CPU 1, where ncat is', () => {
    const columns = (name: string) => / +(\S+)-\d+ +\[(\d+)\] (\S+)/.exec(trace(name)[1] ?? '')?.slice(1)
    expect(columns('synack')).toEqual(['<idle>', '003', '..s..'])
    expect(columns('hashdance')).toEqual(['<idle>', '003', '..s..'])
    expect(columns('accept')).toEqual(['ncat', '001', '.....'])
    expect(taskOf(ubuntu, PID).thread_info.cpu).toBe(1)
    // the queue that woke ncat was filled on CPU 3: the kernel noted who received for this sock
    expect(socketAt(ubuntu, PID, 5).sk.$int('__sk_common.skc_incoming_cpu')).toBe(3n)
  })

  test('S003-8: four connections at four times; the crash session belongs to the first', () => {
    const at = (name: string) => Number(/ (\d+\.\d+): /.exec(trace(name)[1] ?? '')?.[1])
    expect(['child', 'synack', 'hashdance', 'accept'].map((name) => Math.floor(at(name)))).toEqual([
      186587, 189346, 189680, 190208,
    ])
    expect(segmentsOf(ubuntu).filter((text) => text.endsWith(' > 31337 SYN'))).toHaveLength(4)
    // of the four servers only the first is left, with the peer of the first SYN
    const left = [...for_each_pid(ubuntu)].map((pid) => pid_task(pid)).filter((task) => task !== null)
    expect(left.filter((task) => task_comm(task) === 'ncat').map(task_pid)).toEqual([PID])
    const [first = ''] = segmentsOf(ubuntu).filter((text) => text.endsWith(' > 31337 SYN'))
    expect(inet_addresses(socketAt(ubuntu, PID, 5).sk)?.remote.port).toBe(Number.parseInt(first))
    // and the sock of the trace at 190208 was another's
    expect(() => taskOf(ubuntu, 108379)).toThrow()
  })
})

describe('crash', () => {
  test('S003-9: ps: ncat sleeps on CPU 1', async () => {
    expect(await crash(ubuntu, 'ps | grep ncat')).toBe(
      '   106445   26003   1  ffff88800e00ca40  IN   0.2    13160     4652  ncat\n',
    )
    expect(current_task(ubuntu, 1)).not.toBe(taskOf(ubuntu, PID).$va)
  })

  test('S003-10: files: the terminal three times, one connection', async () => {
    expect(await crash(ubuntu, 'files 106445')).toBe(
      [
        'PID: 106445   TASK: ffff88800e00ca40  CPU: 1    COMMAND: "ncat"',
        'ROOT: /    CWD: /root/lup/target/debug',
        ' FD       FILE            DENTRY           INODE       TYPE PATH',
        '  0 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/2',
        '  1 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/2',
        '  2 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/2',
        '  5 ffff88800ebfa500 ffff8880076a29c0 ffff888031558700 SOCK TCP',
        '',
        '',
      ].join('\n'),
    )
  })

  test('S003-11: before the first accept() descriptors 3 and 4 listen; then they are closed', () => {
    expect([...for_each_file(taskOf(ubuntu, PID))].map(({ fd }) => fd)).toEqual([0, 1, 2, 5])
    expect([...lhash2_for_each(ubuntu)]).toEqual([])
    const before = recordedText(LISTENING, 'listening')
    const listeners = [...for_each_file(taskOf(before, 700))].slice(3)
    expect(listeners.map(({ fd, file }) => [fd, nameOf(file)])).toEqual([
      [3, 'TCPv6'],
      [4, 'TCP'],
    ])
    expect([...lhash2_for_each(before)]).toHaveLength(2)
    const after = recordedText(LISTENING, 'accepted')
    expect([...for_each_file(taskOf(after, 700))].map(({ fd }) => fd)).toEqual([0, 1, 2, 5])
    expect([...lhash2_for_each(after)]).toEqual([])
  })

  test('S003-12: file, socket, sock: the sock is the child the handshake returned', async () => {
    expect(await crash(ubuntu, 'struct file.private_data ffff88800ebfa500')).toBe(
      '  private_data = 0xffff888031558680,\n',
    )
    expect(await crash(ubuntu, 'struct socket.sk 0xffff888031558680')).toBe('  sk = 0xffff888007a4e040,\n')
    const child = / child=(0x[0-9a-f]+)$/.exec(trace('child')[1] ?? '')?.[1]
    expect(BigInt(child ?? 0)).toBe(socketAt(ubuntu, PID, 5).sk.$addr)
  })

  test('S003-13: socket and inode lie side by side in one struct socket_alloc', () => {
    const { types } = ubuntu
    expect([types.sizeof('socket'), types.offsetof('socket_alloc', 'vfs_inode')]).toEqual([0x80, 0x80])
    const { socket, file } = socketAt(ubuntu, PID, 5)
    const inode = file_inode(file)
    expect(inode?.$addr).toBe(0xffff888031558700n)
    expect((inode?.$addr ?? 0n) - socket.$addr).toBe(0x80n)
    expect(SOCK_INODE(socket).$addr).toBe(inode?.$addr)
    expect(inode === null ? undefined : SOCKET_I(inode).$addr).toBe(socket.$addr)
  })

  test("S003-14: TCP is the dentry's name, the protocol's; readlink would say socket:[ino]", () => {
    const { file, sk } = socketAt(ubuntu, PID, 5)
    expect(nameOf(file)).toBe('TCP')
    expect(sk.$ref('sk_prot_creator')?.$array('name').$string()).toBe('TCP')
    const ops = file_dentry(file)?.$ref('d_op')
    expect(ops?.$addr).toBe(ubuntu.sym('sockfs_dentry_operations'))
    expect(ops && symbolAt(ubuntu, ops, 'd_dname')).toBe('sockfs_dname')
    const protocols = recordedText(PROTOCOLS)
    expect([3, 4].map((fd) => nameOf(socketAt(protocols, 510, fd).file))).toEqual(['TCP', 'TCPv6'])
  })
})

const nameOf = (file: Parameters<typeof file_dentry>[0]): string => {
  const dentry = file_dentry(file)
  return (dentry && dentry_name(dentry)) ?? ''
}

/** ncat as in the transcript, looked at before anybody connects. */
const LISTENING = `
profile: ubuntu-5.15-x86_64
devices: [{ name: ens33, mac: 00:0c:29:4e:66:a1, address: 192.168.153.128/24 }]
hosts: [{ name: client, address: 192.168.153.1 }]
processes: [{ name: shell, pid: 600, argv: [bash], tty: /dev/pts/0 }]
steps:
  - run: { pid: 700, parent: shell, argv: [ncat, -l, '31337'] }
  - snapshot: listening
  - connect: { host: client, to: 192.168.153.128:31337 }
  - snapshot: accepted
`

const PROTOCOLS = `
processes: [{ name: shell, pid: 500, argv: [bash], tty: /dev/pts/0 }]
steps:
  - run: { name: sockets, pid: 510, parent: shell, argv: [syscalls] }
  - syscall: { process: sockets, call: socket, args: [2, 1, 6], expect: 3 }
  - syscall: { process: sockets, call: socket, args: [10, 1, 6], expect: 4 }
`
