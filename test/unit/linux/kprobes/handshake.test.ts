/** Probes of a real conversation: the stacks a kernel of that profile prints, frame by frame. */

import { expect, test } from 'vitest'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { addProbe } from '../../../../src/linux/kernel/trace/trace_kprobe.ts'
import { findProfile } from '../../../../src/linux/profile.ts'
import { connect, listener, run, tcpMachine, wiredMachine } from '../../../support/tcp-machine.ts'

function converse(k: Kernel): void {
  run(k, function* (p) {
    const fd = yield* listener(p, 10000)
    const conn = yield* p.syscall('accept', fd, 0, 0)
    yield* p.read(conn, 100)
    return 0
  })
  runUntilIdle(k)
  run(k, function* (p) {
    const { fd } = yield* connect(p, 10000)
    yield* p.write(fd, 'ping')
    return 0
  })
  runUntil(k, k.clock.nowNs + 1e9)
}

const stack = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith(' => ')).map((line) => line.slice(4))

/** From the transmit path of the client, in whose context the SYN arrives on the loopback. */
const FROM_CONNECT = [
  '__local_bh_enable_ip', '__dev_queue_xmit', 'ip_finish_output2', 'ip_output', '__ip_queue_xmit',
  '__tcp_transmit_skb', 'tcp_connect', 'tcp_v4_connect', '__inet_stream_connect', 'inet_stream_connect',
  '__sys_connect', '__x64_sys_connect', 'do_syscall_64', 'entry_SYSCALL_64_after_hwframe',
] // prettier-ignore

test('debian: the SYN-ACK, as ORC unwinds it', () => {
  const k = tcpMachine()
  const probe = addProbe(k, 'p:tcp_v4_send_synack', { stack: true })
  converse(k)
  expect(probe.lines[0]).toMatch(
    /\[00\d\] [b.]\.s1\. +\d+\.\d{6}: tcp_v4_send_synack: \(tcp_v4_send_synack\+0x0\/0x1e0\)$/,
  )
  expect(stack(probe.lines)).toEqual([
    'tcp_v4_send_synack', 'tcp_conn_request', 'tcp_rcv_state_process', 'tcp_v4_do_rcv', 'tcp_v4_rcv',
    'ip_protocol_deliver_rcu', 'ip_local_deliver_finish', '__netif_receive_skb_one_core', 'process_backlog',
    '__napi_poll', 'net_rx_action', 'handle_softirqs', 'do_softirq.part.0', ...FROM_CONNECT,
  ]) // prettier-ignore
})

test('debian: accept returns the child', () => {
  const k = tcpMachine()
  const child = addProbe(k, 'r:child inet_csk_complete_hashdance child=$retval')
  const accepted = addProbe(k, 'r:inet_csk_accept sk=$retval', { stack: true })
  converse(k)
  const pointer = /child=(0x[0-9a-f]{16})$/.exec(child.lines[0] ?? '')?.[1]
  expect(child.lines[0]).toMatch(
    / child: \(tcp_check_req\+0x[0-9a-f]+\/0x6b0 <- inet_csk_complete_hashdance\) /,
  )
  expect(accepted.lines[0]).toMatch(/ \.\.\.\.\. .*\(inet_accept\+0x[0-9a-f]+\/0xa0 <- inet_csk_accept\) /)
  expect(accepted.lines[0]?.endsWith(`sk=${pointer}`)).toBe(true)
  expect(stack(accepted.lines)).toEqual([
    "[unknown/kretprobe'd]", 'inet_accept', 'do_accept', '__sys_accept4', '__x64_sys_accept', 'do_syscall_64',
    'entry_SYSCALL_64_after_hwframe',
  ]) // prettier-ignore
})

test('ubuntu: frame pointers hide the caller and show those that jump', () => {
  const profile = findProfile('ubuntu-5.15-x86_64')
  if (profile === undefined) throw new Error('no such profile')
  const k = tcpMachine({ profile })
  const synack = addProbe(k, 'p:tcp_v4_send_synack', { stack: true })
  const hashdance = addProbe(k, 'p:inet_csk_complete_hashdance', { stack: true })
  const accepted = addProbe(k, 'r:inet_csk_accept', { stack: true, stackCostNs: 10_000 })
  converse(k)
  expect(synack.lines[0]).toMatch(/ \.\.s\.\. .*\(tcp_v4_send_synack\+0x0\/0x200\)$/)
  expect(stack(synack.lines).slice(0, 8)).toEqual([
    'tcp_v4_send_synack', 'tcp_v4_conn_request', 'tcp_rcv_state_process', 'tcp_v4_do_rcv', 'tcp_v4_rcv',
    'ip_protocol_deliver_rcu', 'ip_local_deliver_finish', 'ip_local_deliver',
  ]) // prettier-ignore
  expect(stack(hashdance.lines).slice(0, 3)).toEqual([
    'inet_csk_complete_hashdance',
    'tcp_v4_rcv',
    'ip_protocol_deliver_rcu',
  ])
  expect(accepted.lines[0]).toMatch(
    / \.\.\.\.\. .*: inet_csk_accept: \(inet_accept\+0x42\/0x170 <- inet_csk_accept\)$/,
  )
  expect(stack(accepted.lines)).toEqual([
    "[unknown/kretprobe'd]", 'do_accept', '__sys_accept4_file', '__sys_accept4', '__x64_sys_accept', 'do_syscall_64',
    'entry_SYSCALL_64_after_hwframe',
  ]) // prettier-ignore
})

test('ubuntu: a SYN from the wire interrupts the idle CPU', () => {
  const profile = findProfile('ubuntu-5.15-x86_64')
  if (profile === undefined) throw new Error('no such profile')
  const { k, host } = wiredMachine({ profile })
  const probe = addProbe(k, 'p:tcp_v4_send_synack', { stack: true })
  run(k, function* (p) {
    const fd = yield* listener(p, 31337, 10, '192.168.56.1')
    yield* p.syscall('accept', fd, 0, 0)
    return 0
  })
  runUntilIdle(k)
  host.connect('192.168.56.1', 31337)
  runUntil(k, k.clock.nowNs + 1e9)
  expect(probe.lines[0]).toMatch(/^ {10}<idle>-0 {7}\[000\] \.\.s\.\. /)
  expect(stack(probe.lines).slice(0, 27)).toEqual([
    'tcp_v4_send_synack', 'tcp_v4_conn_request', 'tcp_rcv_state_process', 'tcp_v4_do_rcv', 'tcp_v4_rcv',
    'ip_protocol_deliver_rcu', 'ip_local_deliver_finish', 'ip_local_deliver', 'ip_sublist_rcv_finish',
    'ip_sublist_rcv', 'ip_list_rcv', '__netif_receive_skb_list_core', 'netif_receive_skb_list_internal',
    'napi_complete_done', 'e1000_clean', '__napi_poll', 'net_rx_action', '__do_softirq', 'irq_exit_rcu',
    'common_interrupt', 'asm_common_interrupt', 'native_safe_halt', 'acpi_idle_enter', 'cpuidle_enter_state',
    'cpuidle_enter', 'cpuidle_idle_call', 'do_idle',
  ]) // prettier-ignore
})
