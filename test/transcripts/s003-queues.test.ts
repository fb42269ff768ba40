/**
 * What the published transcript concludes about addresses and queues, and where it is mistaken: the memory of
 * `scenarios/lsm-recvmsg.yaml` shows what really happens, and `explain` says so.
 */

import { describe, expect, test } from 'vitest'
import type { StructRef } from '../../src/btf/ref.ts'
import { explainDescriptor, explainSock } from '../../src/explain/explain.ts'
import { lineage } from '../../src/explain/lineage.ts'
import { placeOf } from '../../src/explain/place.ts'
import { explanationText } from '../../src/explain/text.ts'
import { dentry_name } from '../../src/helpers/dcache.ts'
import { fget, file_dentry, file_inode, reserved_fds, task_fdtable } from '../../src/helpers/fs.ts'
import { ipv4_text } from '../../src/helpers/inet-address.ts'
import { skb_queue_bytes, sock_common, sock_kind } from '../../src/helpers/sock.ts'
import { accept_queue, ehash_for_each, lhash2_for_each, listener_queues, request_listener } from '../../src/helpers/tcp.ts' // prettier-ignore
import type { Target } from '../../src/target/target.ts'
import { crash, programRow, recordedTarget, recordedText, segmentsOf, socketAt, symbolAt, taskOf } from '../support/recorded.ts' // prettier-ignore

const PID = 700
const LOCAL = '192.168.56.1'
const PEER = '192.168.56.101'
const at = (snapshot: string): Target => recordedTarget('lsm-recvmsg', snapshot)
const listenerAt = (snapshot: string): StructRef => socketAt(at(snapshot), PID, 3).sk
const ehashAt = (snapshot: string) => [...ehash_for_each(at(snapshot))]
const inetOf = (sk: StructRef): StructRef => sk.$cast('inet_sock')
const text = (target: Target, fd: number): string =>
  explanationText(explainDescriptor(target, taskOf(target, PID), fd)).replace(/\s+/g, ' ')

/** accept() called before anybody connects, so that it sleeps. */
const BLOCKED_ACCEPT = `
devices: [{ name: ens33, mac: 00:0c:29:3e:6f:21, address: 192.168.56.1/24 }]
hosts: [{ name: client, address: 192.168.56.101 }]
processes: [{ name: shell, pid: 500, argv: [bash], tty: /dev/pts/0 }]
steps:
  - run: { name: server, pid: 510, parent: shell, argv: [syscalls] }
  - syscall: { process: server, call: socket, args: [2, 1, 6], result: fd, expect: 3 }
  - syscall: { process: server, call: bind, args: [{ result: fd }, { sockaddr: '192.168.56.1:8080' }, 16], expect: 0 }
  - syscall: { process: server, call: listen, args: [{ result: fd }, 4], expect: 0 }
  - syscall: { process: server, call: accept, args: [{ result: fd }, 0, 0] }
  - snapshot: waiting
  - connect: { host: client, to: 192.168.56.1:8080 }
  - snapshot: accepted
`

const WITHOUT_K = `
devices: [{ name: ens33, mac: 00:0c:29:3e:6f:21, address: 192.168.56.1/24 }]
hosts: [{ name: denied, address: 192.168.56.101 }]
processes: [{ name: shell, pid: 612, argv: [bash], tty: /dev/pts/0 }]
modules: [{ name: recvmsg_block, params: { deny: 192.168.56.101 } }]
steps:
  - run: { name: server, pid: 700, parent: shell, argv: [ncat, -l, 192.168.56.1, '31337'] }
  - connect: { host: denied, to: 192.168.56.1:31337, from_port: 51000 }
  - send: { connection: denied, data: "let me in\\n" }
  - wait: 50ms
  - expect: { connection: denied, state: reset }
`

test('S003-15: inet_saddr is the local address, inet_daddr the peer: a hook must compare daddr', async () => {
  const target = at('blocked')
  const { sk } = socketAt(target, PID, 4)
  const inet = inetOf(sk)
  expect(ipv4_text(Number(inet.$int('inet_saddr')))).toBe(LOCAL)
  expect(ipv4_text(Number(inet.$int('sk.__sk_common.skc_rcv_saddr')))).toBe(LOCAL)
  expect(ipv4_text(Number(inet.$int('sk.__sk_common.skc_daddr')))).toBe(PEER)
  const printed = await crash(target, `struct inet_sock.inet_saddr,inet_sport ${sk.$addr.toString(16)}`)
  expect(printed).toBe('  inet_saddr = 20490432,\n  inet_sport = 27002,\n')
  const said = explainDescriptor(target, taskOf(target, PID), 4)
  const side = (member: string) => said.fields.find((f) => f.member.endsWith(member))
  expect(side('inet_saddr')).toMatchObject({ side: 'local', value: LOCAL, order: 'network' })
  expect(side('skc_daddr')).toMatchObject({ side: 'foreign', value: PEER, order: 'network' })
  expect(said.advice.join('\n')).toContain(`to match the peer (${PEER}:51000) compare inet_sk(sk)->inet_daddr`)
})

describe('S003-16', () => {
  test('S003-16: at the SYN the request is hashed and counted; the accept queue stays empty', () => {
    const [req] = ehashAt('syn-received')
    expect([req?.kind, ehashAt('syn-received').length]).toEqual(['request', 1])
    expect(listener_queues(listenerAt('syn-received'))).toMatchObject({ qlen: 1, young: 1, backlog: 0 })
    expect([...accept_queue(listenerAt('syn-received'))]).toEqual([])
  })

  test('S003-16: at the ACK the request, not the bare child, goes onto the accept queue', () => {
    const [child] = ehashAt('established')
    const [half] = ehashAt('syn-received')
    const [entry, ...more] = accept_queue(listenerAt('established'))
    expect(more).toEqual([])
    expect(entry?.req.$addr).toBe(half?.sk.$addr)
    expect(entry?.child?.$addr).toBe(child?.sk.$addr)
    expect(child?.kind).toBe('full')
    expect(listener_queues(listenerAt('established'))).toMatchObject({ qlen: 0, young: 0, backlog: 1 })
  })

  test('S003-16: explain shows both numbers and says what is often misread', () => {
    expect(text(at('syn-received'), 3)).toContain('1 half-open, 0 ready for accept() (limit 10)')
    expect(text(at('established'), 3)).toContain('0 half-open, 1 ready for accept() (limit 10)')
    expect(text(at('established'), 3)).toContain(
      'often misread: At the SYN nothing is put on the accept queue: the request_sock goes into the hash of ' +
        'connections (ehash) and is only counted (icsk_accept_queue.qlen). At the ACK the child takes its place in ' +
        'ehash, and the request_sock, whose ->sk is now the child, is linked on the accept queue (sk_ack_backlog).',
    )
  })
})

describe('S003-17', () => {
  const waiting = recordedText(BLOCKED_ACCEPT, 'waiting')
  const done = recordedText(BLOCKED_ACCEPT, 'accepted')

  test('S003-17: file, dentry, inode and socket are there before the child is taken from the queue', () => {
    // where they are after accept() they were while it slept, but for the sock
    const { file, socket } = socketAt(done, 510, 4)
    const early = waiting.ref('file', file.$va)
    expect(early.$int('private_data')).toBe(socket.$addr)
    expect(symbolAt(waiting, early, 'f_op')).toBe('socket_file_ops')
    expect(file_dentry(early)?.$addr).toBe(file_dentry(file)?.$addr)
    expect(file_inode(early)?.$addr).toBe(file_inode(file)?.$addr)
    const dentry = file_dentry(early)
    expect(dentry && dentry_name(dentry)).toBe('TCP')
    const before = waiting.ref('socket', socket.$va)
    expect([before.$int('state'), before.$ref('sk')]).toEqual([1n, null])
    expect([socket.$int('state'), socket.$ref('sk')?.$addr]).toEqual([3n, socketAt(done, 510, 4).sk.$addr])
  })

  test('S003-17: the descriptor is reserved meanwhile: its bit is set, its slot empty', () => {
    const task = taskOf(waiting, 510)
    expect(reserved_fds(task)).toEqual([4])
    expect(fget(task, 4)).toBeUndefined()
    expect(task_fdtable(task)?.$int('max_fds')).toBe(64n)
    expect(reserved_fds(taskOf(done, 510))).toEqual([])
  })

  test('S003-17: sock_graft() stores the child into struct socket', () => {
    const { file, socket, sk } = socketAt(done, 510, 4)
    expect(file.$int('private_data')).toBe(socket.$addr)
    expect(socket.$ref('sk')?.$addr).toBe(sk.$addr)
    // inlined: the store bears the name of the function it is inlined into
    expect(lineage(done, socket.$vaOf('sk'))[0]?.function).toMatch(/^(__)?inet_accept$/)
    const rule = explainDescriptor(done, taskOf(done, 510), 4).steps.find(({ member }) => member === 'sk')
    expect(rule).toMatchObject({ struct: 'struct socket', value: sk.$addr })
    expect(rule?.rule).toContain('sock_graft()')
  })
})

describe('S003-18', () => {
  const timewait = recordedTarget('reset-and-timewait', 'time-wait')

  test('S003-18: listener, request, child and TIME_WAIT share the first 136 bytes and no more', () => {
    const { types } = at('listening')
    expect(types.sizeof('sock_common')).toBe(136)
    expect(types.offsetof('sock', '__sk_common')).toBe(0)
    expect(types.offsetof('request_sock', '__req_common')).toBe(0)
    expect(types.offsetof('inet_timewait_sock', '__tw_common')).toBe(0)
    expect(types.sizeof('tcp_request_sock')).toBeLessThan(types.sizeof('sock'))
    expect(types.sizeof('tcp_timewait_sock')).toBeLessThan(types.sizeof('sock'))
  })

  test('S003-18: skc_state tells what a pointer from ehash is; the slab cache agrees', () => {
    const found = (target: Target) =>
      [...ehash_for_each(target)].map(({ sk }) => [
        Number(sock_common(sk).$int('skc_state')),
        sock_kind(sock_common(sk)),
        placeOf(target, sk.$va)?.object,
      ])
    expect(found(at('syn-received'))).toEqual([[12, 'request', 'tcp_request_sock']])
    expect(found(at('established'))).toEqual([[1, 'full', 'tcp_sock']])
    expect(found(timewait)).toEqual([[6, 'timewait', 'tcp_timewait_sock']])
    const [listener] = lhash2_for_each(at('syn-received'))
    expect(listener && sock_kind(listener)).toBe('full')
  })

  test('S003-18: explain warns of members beyond it', () => {
    const [req] = ehashAt('syn-received')
    const [tw] = ehash_for_each(timewait)
    const advice = (target: Target, sk: StructRef | undefined) => explainSock(target, sk?.$va ?? 0).advice
    expect(advice(at('syn-received'), req?.sk)).toEqual([
      'only struct request_sock lies here: test sk_state before touching any member behind offsetof(struct sock, sk_rx_dst)',
    ])
    expect(advice(timewait, tw?.sk)[0]).toContain('only struct inet_timewait_sock lies here')
    expect(request_listener(req?.sk as StructRef)?.$addr).toBe(listenerAt('syn-received').$addr)
  })
})

describe('S003-19', () => {
  test('S003-19: the refused call left the queue, copied_seq and the window as they were', () => {
    const { sk } = socketAt(at('blocked'), PID, 4)
    const before = socketAt(at('accepted'), PID, 4).sk.$cast('tcp_sock')
    const tp = sk.$cast('tcp_sock')
    const queue = sk.$ref('sk_receive_queue') as StructRef
    expect([queue.$int('qlen'), skb_queue_bytes(queue)]).toEqual([1n, 10])
    expect(tp.$int('copied_seq')).toBe(before.$int('copied_seq'))
    expect(tp.$int('rcv_nxt') - tp.$int('copied_seq')).toBe(10n)
    // all of it is acknowledged: nothing the peer would send again
    expect(tp.$int('rcv_wup')).toBe(tp.$int('rcv_nxt'))
    expect(explainDescriptor(at('blocked'), taskOf(at('blocked'), PID), 4).refusals).toMatchObject([
      { hook: 'socket_recvmsg', module: 'recvmsg_block', result: -1, errno: 'EPERM', pid: PID },
    ])
  })

  test('S003-19: ncat closes with data unread: the kernel resets, and without -k ncat ends with status 1', () => {
    const single = recordedText(WITHOUT_K)
    expect(programRow(single, 'server').exit).toEqual({ status: 1, signal: 0 })
    const segments = segmentsOf(single)
    expect(segments.slice(0, 4)).toEqual([
      '51000 > 31337 SYN',
      '31337 > 51000 SYN|ACK',
      '51000 > 31337 ACK',
      '51000 > 31337 PSH|ACK 10',
    ])
    expect(segments.at(-1)).toBe('31337 > 51000 RST|ACK')
    expect(segments.join('\n')).not.toContain('FIN')
    expect([...ehash_for_each(single)]).toEqual([])
  })

  test('S003-19: with -k it goes on listening; only the refused connection is reset', () => {
    expect(segmentsOf(at('closed')).filter((line) => line.includes('RST'))).toEqual(['31337 > 51000 RST|ACK'])
    expect(listenerAt('closed').$int('__sk_common.skc_state')).toBe(10n)
    expect(programRow(at('closed'), 'server').stdout).toBe('hello\n')
  })
})
