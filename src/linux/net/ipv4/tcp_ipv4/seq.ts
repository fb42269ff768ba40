/**
 * /proc/net/tcp and tcp6: listeners first, then everything in the table of connections: socks, requests, and what is
 * in TIME_WAIT.
 *
 * @see net/ipv4/tcp_ipv4.c:tcp4_seq_show, net/ipv6/tcp_ipv6.c:tcp6_seq_show
 */

import type { Va } from '../../../../base/addr.ts'
import { toVa } from '../../../../base/addr.ts'
import type { seq_file, sock } from '../../../../btf/vmlinux.ts'
import { TCP_LISTEN, TCP_NEW_SYN_RECV, TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import { hlist_nulls_for_each } from '../../../../structures/hlist_nulls.ts'
import { proc_create_seq_private } from '../../../fs/proc/generic.ts'
import { proc_net } from '../../../fs/proc/proc_net.ts'
import { seq_printf, seqOperations } from '../../../fs/seq_file.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { jiffies } from '../../../kernel/time/timekeeping.ts'
import { tables } from '../inet_hashtables.ts'
import {
  address4,
  address6,
  elementAt,
  ends,
  familyOf,
  hex,
  nextElement,
  pointerText,
  sock_i_ino,
  sock_i_uid,
  walked,
} from '../seq.ts'

const FILE = 'net/ipv4/tcp_ipv4.c'
/** Lines of tcp are as long as this, filled up with blanks. */
const WIDTH = 149
/** USER_HZ over HZ: 100 over 250. */
const toClock = (jiffiesLeft: bigint): bigint => (jiffiesLeft < 0n ? 0n : (jiffiesLeft * 2n) / 5n)

/** Jiffies until a timer is due, below 0 when it was. */
const ticksUntil = (k: Kernel, expires: bigint): bigint =>
  BigInt.asIntN(k.mem.wordSize * 8, expires - jiffies(k))

/** `icsk_pending` */
const ICSK_TIME_RETRANS = 1
const ICSK_TIME_PROBE0 = 3
const ICSK_TIME_LOSS_PROBE = 5
const ICSK_TIME_REO_TIMEOUT = 6

function* allSocks(k: Kernel): Generator<Va> {
  const t = tables(k)
  const listenNode = k.types.offsetof('sock', '__sk_common.skc_nulls_node')
  for (let i = 0; i <= t.lhash2Mask; i++) {
    const head = t.lhash2 + i * t.listenBucketSize + t.nullsOffset
    for (const node of hlist_nulls_for_each(k.mem, head)) yield node - listenNode
  }
  for (let i = 0; i <= t.ehashMask; i++)
    for (const node of hlist_nulls_for_each(k.mem, t.ehash + i * k.mem.wordSize)) yield node - listenNode
}

const tcp_seq_start = kfunc(FILE, function tcp_seq_start(k, m: seq_file, pos: bigint): bigint {
  const family = familyOf(k, m, tcp6_seq_show)
  const offset = k.types.offsetof('sock', '__sk_common.skc_family')
  const socks = [...allSocks(k)].filter((va) => k.mem.u16(va + offset) === family)
  walked(k).set(m.$va, socks)
  return elementAt(k, m, pos)
})
const tcp_seq_next = kfunc(FILE, function tcp_seq_next(k, m: seq_file, _v: bigint): bigint {
  return nextElement(k, m)
})
const tcp_seq_stop = kfunc(FILE, function tcp_seq_stop(k, m: seq_file, _v: bigint): void {
  walked(k).delete(m.$va)
})

/** What stands on a line between the ends and the rest. */
interface Fields {
  readonly state: number
  readonly sent: number
  readonly received: number
  readonly timer: number
  readonly left: bigint
  readonly retransmits: number
  readonly uid: number
  readonly rest: string
}

const middle = (f: Fields): string =>
  [
    hex(f.state, 2),
    `${hex(f.sent, 8)}:${hex(f.received, 8)}`,
    `${hex(f.timer, 2)}:${hex(f.left, 8)}`,
    hex(f.retransmits, 8),
    String(f.uid).padStart(5),
    f.rest,
  ].join(' ')

/** @see net/ipv4/tcp_ipv4.c:get_tcp4_sock */
function sockFields(k: Kernel, sk: sock): Fields {
  const tp = k.ref('tcp_sock', sk)
  const icsk = k.ref('inet_connection_sock', sk)
  const common = sk.__sk_common
  const listening = common.skc_state === TCP_LISTEN
  const pending = icsk.icsk_pending
  const timers: Record<number, number> = {
    [ICSK_TIME_RETRANS]: 1,
    [ICSK_TIME_REO_TIMEOUT]: 1,
    [ICSK_TIME_LOSS_PROBE]: 1,
    [ICSK_TIME_PROBE0]: 4,
  }
  const keepalive = k.mem.pointer(sk.$vaOf('sk_timer.entry.pprev')) !== 0
  const timer = timers[pending] ?? (keepalive ? 2 : 0)
  const expires = timer === 2 ? sk.sk_timer.expires : timer === 0 ? jiffies(k) : icsk.icsk_timeout
  const received = listening ? sk.sk_ack_backlog : Math.max((tp.rcv_nxt - tp.copied_seq) | 0, 0)
  const ato = icsk.icsk_ack.ato
  const pingpong = icsk.icsk_ack.pingpong >= 3 ? 1 : 0
  const slowStart = tp.snd_ssthresh >= 0x7fffffff
  const refs = common.skc_refcnt.refs.counter
  return {
    state: common.skc_state,
    sent: (tp.write_seq - tp.snd_una) >>> 0,
    received,
    timer,
    left: toClock(ticksUntil(k, expires)),
    retransmits: icsk.icsk_retransmits,
    uid: sock_i_uid(k, sk),
    rest: [
      String(icsk.icsk_probes_out).padStart(8),
      sock_i_ino(k, sk),
      refs,
      pointerText(k, sk.$va),
      toClock(BigInt(icsk.icsk_rto)),
      toClock(BigInt(ato)),
      (icsk.icsk_ack.quick << 1) | pingpong,
      tp.snd_cwnd,
      listening ? 0 : slowStart ? -1 : tp.snd_ssthresh,
    ].join(' '),
  }
}

/** A half-open connection. @see net/ipv4/tcp_ipv4.c:get_openreq4 */
function requestFields(k: Kernel, va: Va): Fields {
  const req = k.ref('request_sock', va)
  const listener = req.rsk_listener
  return {
    state: 3,
    sent: 0,
    received: 0,
    timer: 1,
    left: toClock(ticksUntil(k, req.rsk_timer.expires)),
    retransmits: req.num_timeout,
    uid: listener === null ? 0 : sock_i_uid(k, listener),
    rest: [String(0).padStart(8), 0, 0, pointerText(k, va)].join(' '),
  }
}

/** @see net/ipv4/tcp_ipv4.c:get_timewait4_sock */
function timewaitFields(k: Kernel, va: Va): Fields {
  const tw = k.ref('inet_timewait_sock', va)
  return {
    state: tw.tw_substate,
    sent: 0,
    received: 0,
    timer: 3,
    left: toClock(ticksUntil(k, tw.tw_timer.expires)),
    retransmits: 0,
    uid: 0,
    rest: [String(0).padStart(8), 0, tw.__tw_common.skc_refcnt.refs.counter, pointerText(k, va)].join(' '),
  }
}

/** A line but for its width. */
function line(k: Kernel, m: seq_file, va: Va, address: (k: Kernel, at: Va) => string): string {
  const sk = k.ref('sock', va)
  const state = sk.__sk_common.skc_state
  const fields =
    state === TCP_NEW_SYN_RECV
      ? requestFields(k, va)
      : state === TCP_TIME_WAIT
        ? timewaitFields(k, va)
        : sockFields(k, sk)
  return `${String(m.index - 1n).padStart(4)}: ${ends(k, sk, address)} ${middle(fields)}`
}

const HEADER4 =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const HEADER6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

export const tcp4_seq_show = kfunc(FILE, function tcp4_seq_show(k, m: seq_file, v: bigint): number {
  const text = v === 1n ? HEADER4 : line(k, m, toVa(v, k.mem.wordSize), address4)
  seq_printf(k, m, `${text.padEnd(WIDTH)}\n`)
  return 0
})
export const tcp6_seq_show = kfunc(
  'net/ipv6/tcp_ipv6.c',
  function tcp6_seq_show(k, m: seq_file, v: bigint): number {
    seq_printf(k, m, `${v === 1n ? HEADER6 : line(k, m, toVa(v, k.mem.wordSize), address6)}\n`)
    return 0
  },
)

/** @see net/ipv4/tcp_ipv4.c:tcp4_proc_init */
export function tcp4_proc_init(k: Kernel): void {
  for (const [name, ops, show] of [
    ['tcp', 'tcp4_seq_ops', tcp4_seq_show],
    ['tcp6', 'tcp6_seq_ops', tcp6_seq_show],
  ] as const) {
    seqOperations(k, k.global(ops, 'seq_operations'), tcp_seq_start, tcp_seq_next, tcp_seq_stop, show)
    proc_create_seq_private(k, name, 0o444, proc_net(k), ops)
  }
}
