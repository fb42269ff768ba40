/**
 * The passive open as memory shows it afterwards: the invariants of each step of the handshake, read back from the
 * dump of `scenarios/lsm-recvmsg.yaml` at its snapshots. What holds only inside the softirq is in moments.test.ts.
 */

import { describe, expect, test } from 'vitest'
import { toVa, type Va } from '../../../../src/base/addr.ts'
import { htonl, htons, ntohs, sub32 } from '../../../../src/base/u32.ts'
import type { sock, sock_common, tcp_request_sock, tcp_sock } from '../../../../src/btf/vmlinux.ts'
import { framesOf } from '../../../../src/explain/packets.ts'
import { lineage } from '../../../../src/explain/lineage.ts'
import { placeOf } from '../../../../src/explain/place.ts'
import { reserved_fds } from '../../../../src/helpers/fs.ts'
import { accept_queue, bhash_for_each, ehash_for_each, lhash2_for_each, listener_queues } from '../../../../src/helpers/tcp.ts' // prettier-ignore
import { parseTcp } from '../../../../src/linux/net/wire/segments.ts'
import { jhash_1word, jhash_3words } from '../../../../src/structures/jhash.ts'
import { NULLS_MARKER } from '../../../../src/structures/hlist_nulls.ts'
import type { Target } from '../../../../src/target/target.ts'
import { recordedTarget, socketAt, symbolAt, taskOf } from '../../../support/recorded.ts'

const PID = 700
const PORT = 31337
const LOCAL = htonl(0xc0a83801)
const PEER = htonl(0xc0a83865)
const PEER_PORT = 51000
const TCP_LISTEN = 10
const TCP_NEW_SYN_RECV = 12
const TCP_ESTABLISHED = 1

const at = (snapshot: string): Target => recordedTarget('lsm-recvmsg', snapshot)
const [half, ready, accepted, blocked] = ['syn-received', 'established', 'accepted', 'blocked'].map(at) as [
  Target,
  Target,
  Target,
  Target,
]

const listenerOf = (t: Target): tcp_sock => t.ref('tcp_sock', socketAt(t, PID, 3).sk.$va)
const sockOf = (tp: tcp_sock): sock => tp.inet_conn.icsk_inet.sk
const only = <T>(items: Iterable<T>): T => {
  const all = [...items]
  expect(all).toHaveLength(1)
  return all[0] as T
}
/** The one thing in the hash table of connections. */
const hashed = (t: Target): Va => only(ehash_for_each(t)).sk.$va
const request: tcp_request_sock = half.ref('tcp_request_sock', hashed(half))
/** The same request after the handshake. */
const queued: tcp_request_sock = ready.ref('tcp_request_sock', request.$va)
const childOf = (t: Target): tcp_sock => t.ref('tcp_sock', hashed(t))
const common = (t: Target, va: Va): sock_common => t.ref('sock_common', va)
const frames = framesOf(half).flatMap((bytes, i) => {
  const tcp = parseTcp(bytes)
  return tcp === undefined ? [] : [{ ...tcp, bytes, number: i + 1 }]
})
const [syn, synack] = frames as [(typeof frames)[number], (typeof frames)[number]]

describe('SYN', () => {
  test('step 1: the listener was not locked for it, and is in no backlog', () => {
    const sk = sockOf(listenerOf(half))
    expect([sk.sk_lock.owned, sk.sk_lock.slock.rlock.raw_lock.val.counter]).toEqual([0, 0])
    expect([sk.sk_backlog.head, sk.sk_backlog.len]).toEqual([null, 0])
  })

  test('step 2: the listener stays in LISTEN', () => {
    expect(sockOf(listenerOf(half)).__sk_common.skc_state).toBe(TCP_LISTEN)
    expect(only(lhash2_for_each(half)).$va).toBe(listenerOf(half).$va)
  })

  test('step 4: the request belongs to the listener and takes its protocol and namespace', () => {
    const skc = request.req.req.__req_common
    const listener = sockOf(listenerOf(half)).__sk_common
    expect(placeOf(half, request.$va)).toMatchObject({ object: 'tcp_request_sock', offset: 0 })
    expect(skc.$ref('skc_listener')?.$va).toBe(listenerOf(half).$va)
    expect(skc.skc_prot?.$va).toBe(listener.skc_prot?.$va)
    expect(skc.skc_net.$int('net')).toBe(listener.skc_net.$int('net'))
    expect(request.req.req.rsk_ops?.$addr).toBe(half.sym('tcp_request_sock_ops'))
    expect(request.af_specific?.$addr).toBe(half.sym('tcp_request_sock_ipv4_ops'))
    expect([skc.skc_family, skc.skc_state, skc.skc_bound_dev_if]).toEqual([2, TCP_NEW_SYN_RECV, 0])
    expect(skc.skc_tx_queue_mapping).toBe(0xffff)
  })

  test('step 4: addresses and ports are the packet’s: three in network order, the own port in host order', () => {
    const skc = request.req.req.__req_common
    expect([skc.skc_daddr, skc.skc_rcv_saddr]).toEqual([PEER, LOCAL])
    expect([skc.skc_dport, skc.skc_num]).toEqual([htons(PEER_PORT), PORT])
  })

  test('step 4: numbers and options of the SYN', () => {
    expect([request.rcv_isn, request.rcv_nxt]).toEqual([syn.seq, (syn.seq + 1) >>> 0])
    expect([request.snt_isn, synack.seq]).toEqual([synack.seq, request.snt_isn])
    expect([request.txhash !== 0, request.last_oow_ack_time]).toEqual([true, 0])
    expect(request.req.req.mss).toBe(syn.options.mss)
    expect(request.req.req.ts_recent).toBe(syn.options.timestamps?.value)
    expect([request.req.snd_wscale, request.req.wscale_ok, request.req.tstamp_ok, request.req.sack_ok]).toEqual([7, 1, 1, 1]) // prettier-ignore
    expect([request.req.acked, request.req.ecn_ok, request.req.no_srccheck]).toEqual([0, 0, 0])
    expect(request.req.$get('ireq_opt')).toBeNull()
  })

  test('step 4: nothing was sent again, no SYN is saved, no child is there', () => {
    const { req } = request.req
    expect([req.num_retrans, req.num_timeout, req.syncookie]).toEqual([0, 0, 0])
    expect([req.saved_syn, req.sk, req.dl_next]).toEqual([null, null, null])
    expect(req.timeout).toBe(250)
  })

  test('step 4: in the table by rsk_hash, at the head of its chain, which ends in the slot’s marker', () => {
    const skc = request.req.req.__req_common
    expect(skc.skc_hash).toBe(ehashfn(half, LOCAL, PORT, PEER, htons(PEER_PORT)))
    expect(chainOf(half, skc)).toMatchObject({ first: request.$va + skc.$offsetof('skc_nulls_node') })
    expect(chainOf(half, skc).pprev).toBe(chainOf(half, skc).head)
    expect(chainOf(half, skc).end).toBe(chainOf(half, skc).marker)
  })

  test('step 4: the timer runs on one CPU and is due within the second', () => {
    const timer = request.req.req.rsk_timer
    expect(timer.entry.$int('pprev')).not.toBe(0n)
    expect(symbolAt(half, timer, 'function')).toBe('reqsk_timer_handler')
    expect(timer.flags & 0x100000).toBe(0x100000)
    const left = Number(timer.expires - half.mem.word(half.symVa('jiffies_64')))
    expect([left > 0, left <= 250]).toEqual([true, true])
  })

  test('step 4: counted, not queued: qlen and young are 1, sk_ack_backlog 0, the queue empty', () => {
    expect(listener_queues(listenerOf(half))).toEqual({ qlen: 1, young: 1, backlog: 0, maxBacklog: 10 })
    const { rskq_accept_head, rskq_accept_tail } = listenerOf(half).inet_conn.icsk_accept_queue
    expect([rskq_accept_head, rskq_accept_tail]).toEqual([null, null])
  })

  test('step 4: held by table and timer (2); the listener by itself and the request (2)', () => {
    expect(request.req.req.__req_common.skc_refcnt.refs.counter).toBe(2)
    expect(sockOf(listenerOf(half)).__sk_common.skc_refcnt.refs.counter).toBe(2)
    expect(sockOf(listenerOf(at('listening'))).__sk_common.skc_refcnt.refs.counter).toBe(1)
  })

  test('step 4: the SYN-ACK: from ir_loc_addr to ir_rmt_addr, DF, id 0, ttl 64, window unscaled', () => {
    const ip = synack.bytes.subarray(14)
    const be16 = (offset: number): number => ((ip[offset] ?? 0) << 8) | (ip[offset + 1] ?? 0)
    expect([be16(4), be16(6), ip[8]]).toEqual([0, 0x4000, 64])
    expect([htonl(synack.source), htonl(synack.target)]).toEqual([LOCAL, PEER])
    expect([synack.sourcePort, synack.targetPort, synack.ack]).toEqual([PORT, PEER_PORT, request.rcv_nxt])
    const { skc_rcv_wnd } = request.req.req.__req_common
    expect(synack.window).toBe(Math.min(skc_rcv_wnd, 65535))
    expect(synack.options.windowScale).toBe(request.req.rcv_wscale)
    expect(request.snt_synack).toBeGreaterThan(0n)
  })
})

describe('ACK', () => {
  test('step 5: the listener’s numbers come back: it holds only itself and the queued request', () => {
    expect(sockOf(listenerOf(ready)).__sk_common.skc_refcnt.refs.counter).toBe(2)
  })

  test('step 6: no retransmission was counted', () => {
    expect([queued.req.req.num_retrans, queued.req.req.num_timeout, queued.req.acked]).toEqual([0, 0, 0])
  })

  test('step 7: the child is the listener’s copy', () => {
    const [child, listener] = [childOf(ready), listenerOf(ready)]
    const copied = [
      'sk_protocol', 'sk_type', 'sk_data_ready', 'sk_write_space', 'sk_destruct',
      'sk_backlog_rcv', 'sk_rcvtimeo', 'sk_sndtimeo', 'sk_allocation', 'sk_prot_creator', 'sk_uid',
    ] // prettier-ignore
    for (const member of copied) {
      const [mine, its] = [child, listener].map((tp) => Buffer.from(bytesOf(sockOf(tp), member)))
      expect([member, mine?.toString('hex')]).toEqual([member, its?.toString('hex')])
    }
    expect(child.inet_conn.icsk_af_ops?.$va).toBe(listener.inet_conn.icsk_af_ops?.$va)
    expect(child.inet_conn.icsk_inet.uc_ttl).toBe(listener.inet_conn.icsk_inet.uc_ttl)
  })

  test('step 7: what a copy must not share starts anew', () => {
    const sk = sockOf(childOf(ready))
    expect([sk.sk_socket, sk.sk_wq, sk.sk_send_head, sk.sk_memcg]).toEqual([null, null, null, null])
    expect([sk.sk_backlog.rmem_alloc.counter, sk.sk_omem_alloc.counter, sk.sk_drops.counter, sk.sk_err]).toEqual([0, 0, 0, 0]) // prettier-ignore
    expect([sk.sk_receive_queue.qlen, sk.sk_write_queue.qlen, sk.sk_wmem_queued]).toEqual([0, 0, 0])
    expect([sk.sk_wmem_alloc.refs.counter, sk.sk_priority, sk.sk_ack_backlog]).toEqual([1, 0, 0])
    // the port is the listener's: not locked by a bind() of the child
    expect(sk.sk_userlocks & 8).toBe(0)
    expect(sockOf(listenerOf(ready)).sk_userlocks & 8).toBe(8)
    const SOCK_RCU_FREE = 1n << BigInt(enumOf(ready, 'sock_flags', 'SOCK_RCU_FREE'))
    expect(sk.__sk_common.skc_flags & SOCK_RCU_FREE).toBe(0n)
    const queue = childOf(ready).inet_conn.icsk_accept_queue
    expect(Buffer.from(queue.$bytes()).every((byte) => byte === 0)).toBe(true)
  })

  test('step 7: its ends are the request’s', () => {
    const inet = childOf(ready).inet_conn.icsk_inet
    const { skc_daddr, skc_rcv_saddr, skc_dport, skc_num, skc_bound_dev_if } = inet.sk.__sk_common
    const from = queued.req.req.__req_common
    expect([skc_daddr, skc_rcv_saddr]).toEqual([from.skc_daddr, from.skc_rcv_saddr])
    expect([skc_dport, skc_num, skc_bound_dev_if]).toEqual([from.skc_dport, from.skc_num, 0])
    expect([inet.inet_saddr, inet.inet_sport]).toEqual([from.skc_rcv_saddr, htons(from.skc_num)])
    // arrived by the card, not by lo
    expect(inet.mc_index).toBe(2)
    expect([inet.mc_ttl, inet.rcv_tos]).toEqual([64, 0])
  })

  test('step 7: its sequence numbers are the request’s', () => {
    const tp = childOf(ready)
    const [rcv, snd] = [(queued.rcv_isn + 1) >>> 0, (queued.snt_isn + 1) >>> 0]
    expect([tp.rcv_wup, tp.copied_seq, tp.rcv_nxt]).toEqual([rcv, rcv, rcv])
    expect([tp.snd_una, tp.snd_nxt, tp.snd_sml, tp.snd_up]).toEqual([snd, snd, snd, snd])
    expect([tp.write_seq, tp.pushed_seq]).toEqual([snd, snd])
    expect([tp.rx_opt.tstamp_ok, tp.rx_opt.sack_ok, tp.rx_opt.snd_wscale]).toEqual([1, 1, 7])
    expect([tp.tcp_header_len, tp.pred_flags !== 0]).toEqual([32, true])
    expect([tp.tsoffset, tp.rx_opt.mss_clamp]).toEqual([queued.ts_off, queued.req.req.mss])
    expect(tp.snd_wnd).toBeGreaterThan(0)
  })

  test('step 7: it shares the listener’s bind buckets', () => {
    const [child, listener] = [childOf(ready), listenerOf(ready)]
    expect(child.inet_conn.icsk_bind_hash?.$va).toBe(listener.inet_conn.icsk_bind_hash?.$va)
    // bound to an address, not to ANY: the bucket of address and port fits as well
    expect(child.inet_conn.icsk_bind2_hash?.$va).toBe(listener.inet_conn.icsk_bind2_hash?.$va)
    const bound = only([...bhash_for_each(ready)].filter(({ port }) => port === PORT))
    expect(bound.owners.map(({ $va }) => $va).toSorted()).toEqual([child.$va, listener.$va].toSorted())
    const before = only([...bhash_for_each(half)].filter(({ port }) => port === PORT))
    expect(before.owners.map(({ $va }) => $va)).toEqual([listenerOf(half).$va])
  })

  test('step 7: it stands where the request stood: same hash, same slot', () => {
    const skc = common(ready, childOf(ready).$va)
    expect(skc.skc_hash).toBe(request.req.req.__req_common.skc_hash)
    expect(chainOf(ready, skc).first).toBe(childOf(ready).$va + skc.$offsetof('skc_nulls_node'))
    expect(chainOf(ready, skc).end).toBe(chainOf(ready, skc).marker)
  })

  test('step 8: the request is linked on the accept queue with the child in it', () => {
    const queue = listenerOf(ready).inet_conn.icsk_accept_queue
    expect([queue.rskq_accept_head?.$va, queue.rskq_accept_tail?.$va]).toEqual([queued.$va, queued.$va])
    expect([queued.req.req.sk?.$va, queued.req.req.dl_next]).toEqual([childOf(ready).$va, null])
    expect(listener_queues(listenerOf(ready))).toEqual({ qlen: 0, young: 0, backlog: 1, maxBacklog: 10 })
  })

  test('step 8: its timer is off; only the queue holds it', () => {
    expect(queued.req.req.rsk_timer.entry.$int('pprev')).toBe(0n)
    expect(queued.req.req.__req_common.skc_refcnt.refs.counter).toBe(1)
  })

  test('step 9: the child is established, with ten segments to send, and the listener’s owner is awake', () => {
    const tp = childOf(ready)
    expect(sockOf(tp).__sk_common.skc_state).toBe(TCP_ESTABLISHED)
    expect([tp.snd_cwnd, tp.advmss, tp.delivered]).toEqual([10, 1460 - 12, 1])
    expect(tp.inet_conn.icsk_ca_ops?.$array('name').$string()).toBe('cubic')
    expect(sockOf(tp).__sk_common.skc_refcnt.refs.counter).toBe(1)
    // not asleep in select() any more, not run yet
    expect(taskOf(ready, PID).__state).toBe(0)
    expect(taskOf(half, PID).__state).toBe(1)
  })

  test('step 10: before accept() the child is in ehash alone, with neither socket nor wait queue', () => {
    expect(only(ehash_for_each(ready)).kind).toBe('full')
    expect([sockOf(childOf(ready)).sk_socket, sockOf(childOf(ready)).sk_wq]).toEqual([null, null])
    expect(socketAt(ready, PID, 3).sk.$va).toBe(listenerOf(ready).$va)
    expect(() => socketAt(ready, PID, 4)).toThrow()
  })

  test('step 10: the request is in no table any more, and still the listener’s', () => {
    const skc = common(ready, queued.$va)
    expect(skc.$int('skc_nulls_node.pprev')).toBe(0n)
    expect(skc.$ref('skc_listener')?.$va).toBe(listenerOf(ready).$va)
    expect(skc.skc_state).toBe(TCP_NEW_SYN_RECV)
  })

  test('step 10: the listener counts a reference for each request: 1 + 1', () => {
    const requests = [...accept_queue(listenerOf(ready))].length
    expect(sockOf(listenerOf(ready)).__sk_common.skc_refcnt.refs.counter).toBe(1 + requests)
  })
})

describe('the same offsets in listener, request and child', () => {
  const members = [
    'skc_daddr',
    'skc_rcv_saddr',
    'skc_hash',
    'skc_dport',
    'skc_num',
    'skc_family',
    'skc_state',
  ]

  test.each([
    ['skc_daddr', 0x00],
    ['skc_rcv_saddr', 0x04],
    ['skc_hash', 0x08],
    ['skc_dport', 0x0c],
    ['skc_num', 0x0e],
    ['skc_family', 0x10],
    ['skc_state', 0x12],
    ['skc_bound_dev_if', 0x14],
    ['skc_bind_node', 0x18],
    ['skc_prot', 0x28],
    ['skc_net', 0x30],
    ['skc_cookie', 0x58],
    ['skc_flags', 0x60],
    ['skc_listener', 0x60],
    ['skc_nulls_node', 0x68],
    ['skc_tx_queue_mapping', 0x78],
    ['skc_incoming_cpu', 0x7c],
    ['skc_rcv_wnd', 0x7c],
    ['skc_refcnt', 0x80],
    ['skc_window_clamp', 0x84],
  ])('%s at byte %i', (member, offset) => {
    const { types } = ready
    expect(types.offsetof('sock', `__sk_common.${member}`)).toBe(offset)
    expect(types.offsetof('request_sock', `__req_common.${member}`)).toBe(offset)
    expect(types.offsetof('inet_timewait_sock', `__tw_common.${member}`)).toBe(offset)
  })

  test('each of the three reads as what it is through struct sock_common alone', () => {
    const [listener, req, child] = [listenerOf(ready), queued, childOf(ready)].map(({ $va }) =>
      members.map((member) => Number(common(ready, $va).$int(member))),
    )
    const hash = childOf(ready).inet_conn.icsk_inet.sk.__sk_common.skc_hash
    expect(listener?.toSpliced(2, 1)).toEqual([0, LOCAL, 0, PORT, 2, TCP_LISTEN])
    expect(req).toEqual([PEER, LOCAL, hash, htons(PEER_PORT), PORT, 2, TCP_NEW_SYN_RECV])
    expect(child).toEqual([PEER, LOCAL, hash, htons(PEER_PORT), PORT, 2, TCP_ESTABLISHED])
  })

  test('the listener lies in the slot of its address and port', () => {
    const info = ready.ref('inet_hashinfo', ready.symVa('tcp_hashinfo'))
    const mix = ready.ref('net', ready.symVa('init_net')).hash_mix
    const slot = (jhash_1word(LOCAL, mix) ^ PORT) & info.lhash2_mask
    const table = toVa(info.$int('lhash2'))
    const bucket = ready.ref(
      'inet_listen_hashbucket',
      table + slot * ready.types.sizeof('inet_listen_hashbucket'),
    )
    const node = listenerOf(ready).$va + ready.types.offsetof('sock_common', 'skc_nulls_node')
    expect(toVa(bucket.$int('nulls_head.first'))).toBe(node)
    expect(ready.mem.word(node)).toBe(NULLS_MARKER(slot + (1 << 29)))
  })
})

describe('accept()', () => {
  test('the queue is empty, the request freed, the listener holds only itself', () => {
    const queue = listenerOf(accepted).inet_conn.icsk_accept_queue
    expect([queue.rskq_accept_head, queue.rskq_accept_tail]).toEqual([null, null])
    expect(listener_queues(listenerOf(accepted))).toMatchObject({ qlen: 0, young: 0, backlog: 0 })
    expect(sockOf(listenerOf(accepted)).__sk_common.skc_refcnt.refs.counter).toBe(1)
    expect(common(accepted, queued.$va).skc_refcnt.refs.counter).toBe(0)
  })

  test('sock_graft: socket and child point at each other, the wait queue is the socket’s', () => {
    const { socket, sk, file } = socketAt(accepted, PID, 4)
    const child = accepted.ref('sock', childOf(accepted).$va)
    expect(sk.$va).toBe(child.$va)
    expect([child.sk_socket?.$va, child.sk_wq?.$va]).toEqual([socket.$va, socket.$vaOf('wq')])
    expect([socket.$int('state'), socket.$ref('file')?.$va]).toEqual([3n, file.$va])
    expect(child.sk_uid.val).toBe(0)
    expect(socket.$ref('ops')?.$addr).toBe(accepted.sym('inet_stream_ops'))
  })

  test('the child is the one that waited, its place in the table unchanged', () => {
    expect(childOf(accepted).$va).toBe(childOf(ready).$va)
    expect(chainOf(accepted, common(accepted, childOf(accepted).$va))).toEqual(
      chainOf(ready, common(ready, childOf(ready).$va)),
    )
  })

  test('no descriptor stays reserved', () => {
    for (const t of [half, ready, accepted, blocked]) expect(reserved_fds(taskOf(t, PID))).toEqual([])
  })
})

describe('recv() refused', () => {
  test('the data lies in the queue, acknowledged, and copied_seq has not moved', () => {
    const [tp, before] = [childOf(blocked), childOf(accepted)]
    expect(sockOf(tp).sk_receive_queue.qlen).toBe(1)
    expect([tp.copied_seq, sub32(tp.rcv_nxt, tp.copied_seq)]).toEqual([before.copied_seq, 10])
    expect(sockOf(tp).sk_backlog.rmem_alloc.counter).toBeGreaterThan(0)
    expect(sockOf(tp).__sk_common.skc_state).toBe(TCP_ESTABLISHED)
  })
})

describe('lineage: each end is followed back to a byte of the SYN', () => {
  const child = childOf(accepted).inet_conn.icsk_inet
  const skc = child.sk.__sk_common
  const story = (va: Va) =>
    lineage(accepted, va).map(({ function: name, at: va, frame, offset, source }) => {
      const place = placeOf(accepted, toVa(va), 2)
      const where = place?.alias ?? place?.member?.split('.').at(-1) ?? place?.object
      return source === 'packet' ? `${name}: byte ${offset} of frame ${frame}` : `${name}: ${where}`
    })
  const end = (byte: number): string => `e1000_clean: byte ${byte} of frame ${syn.number}`

  test.each([
    // inet_daddr ← ir_rmt_addr ← iph->saddr
    [
      'peer address',
      skc.$vaOf('skc_daddr'),
      ['tcp_v4_syn_recv_sock: inet_daddr', 'tcp_v4_route_req: ir_rmt_addr', end(26)],
    ],
    // inet_rcv_saddr and inet_saddr ← ir_loc_addr ← iph->daddr
    [
      'local address, looked up by',
      skc.$vaOf('skc_rcv_saddr'),
      ['tcp_v4_syn_recv_sock: inet_rcv_saddr', 'tcp_v4_route_req: ir_loc_addr', end(30)],
    ],
    [
      'local address, sent from',
      child.$vaOf('inet_saddr'),
      ['tcp_v4_syn_recv_sock: inet_saddr', 'tcp_v4_route_req: ir_loc_addr', end(30)],
    ],
    // inet_dport ← ir_rmt_port ← th->source
    [
      'peer port',
      skc.$vaOf('skc_dport'),
      ['inet_csk_clone_lock: inet_dport', 'tcp_conn_request: ir_rmt_port', end(34)],
    ],
    // inet_num ← ir_num ← ntohs(th->dest); inheriting the port stores it once more
    [
      'local port, host order',
      skc.$vaOf('skc_num'),
      ['inet_bind_hash: inet_num', 'inet_csk_clone_lock: inet_num', 'tcp_conn_request: ir_num', end(36)],
    ],
    [
      'local port, network order',
      child.$vaOf('inet_sport'),
      ['inet_csk_clone_lock: inet_sport', 'tcp_conn_request: ir_num', end(36)],
    ],
  ])('%s', (_title, va, expected) => expect(story(va)).toEqual(expected))

  test('the SYN has these bytes', () => {
    const view = new DataView(syn.bytes.buffer, syn.bytes.byteOffset)
    expect([view.getUint32(26, true), view.getUint32(30, true)]).toEqual([skc.skc_daddr, skc.skc_rcv_saddr])
    expect([view.getUint16(34, true), view.getUint16(36)]).toEqual([skc.skc_dport, skc.skc_num])
    expect(ntohs(child.inet_sport)).toBe(PORT)
  })
})

/** A member's bytes, of any type. */
function bytesOf(ref: sock, member: string): Uint8Array {
  const { $types: types } = ref
  return ref.$mem.read(ref.$vaOf(member), types.sizeof(types.place(ref.$type, member).type))
}

function enumOf(t: Target, name: string, value: string): number {
  const type = t.types.btf.find(name, 'enum')
  if (type?.kind !== 'enum') throw new Error(`no enum ${name}`)
  return Number(type.values.find((each) => each.name === value)?.value)
}

/** `inet_ehashfn()` with the secret and the namespace's salt as memory holds them. */
function ehashfn(t: Target, laddr: number, lport: number, faddr: number, fport: number): number {
  const name = [...t.symbols.all()].find((symbol) => symbol.name.startsWith('inet_ehash_secret'))?.name ?? ''
  const secret = t.mem.u32(t.symVa(name))
  const mix = t.ref('net', t.symVa('init_net')).hash_mix
  expect(secret).not.toBe(0)
  return jhash_3words(laddr, faddr, ((lport << 16) | fport) >>> 0, (secret + mix) | 0) >>> 0
}

/** The chain of the table's slot that a sock's hash names. */
function chainOf(t: Target, skc: sock_common) {
  const info = t.ref('inet_hashinfo', t.symVa('tcp_hashinfo'))
  const slot = (skc.skc_hash & info.ehash_mask) >>> 0
  const head = toVa(info.$int('ehash')) + slot * t.types.sizeof('inet_ehash_bucket')
  const first = t.mem.pointer(head)
  const pprev = toVa(skc.$int('skc_nulls_node.pprev'))
  return { head, first, pprev, end: t.mem.word(first), marker: NULLS_MARKER(slot) }
}
