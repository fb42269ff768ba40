/** Congestion control: which algorithm, and Reno's arithmetic that all of them fall back to. */

import type { sock, tcp_congestion_ops, tcp_sock } from '../../../btf/vmlinux.ts'
import { TCP_CA_Open } from '../../../abi/tcp.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../../structures/list.ts'
import { jhash2 } from '../../../structures/jhash.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { sock_net } from '../../include/net/sock.ts'
import { inet_csk, tcp_sk } from '../../include/net/casts.ts'
import { tcp_in_slow_start } from '../../include/net/tcp.ts'

const FILE = 'net/ipv4/tcp_cong.c'

/** Make an algorithm known. @see net/ipv4/tcp_cong.c:tcp_register_congestion_control */
export const tcp_register_congestion_control = kfunc(
  FILE,
  function tcp_register_congestion_control(k, ca: tcp_congestion_ops): number {
    const name = ca.name.bytes()
    const words = new Uint32Array(name.slice(0, 16).buffer)
    ca.key = jhash2(words, ca.name.$string().length)
    list_add_tail(k.mem, ca.list.$va, tcp_cong_list(k))
    return 0
  },
)

export function tcp_cong_list(k: Kernel): number {
  const { $va } = k.global('tcp_cong_list', 'list_head')
  if (k.mem.pointer($va) === 0) INIT_LIST_HEAD(k.mem, $va)
  return $va
}

/** A new sock has the network's default. */
export const tcp_assign_congestion_control = kfunc(
  FILE,
  function tcp_assign_congestion_control(k, sk: sock): void {
    const icsk = inet_csk(k, sk)
    icsk.icsk_ca_ops = deref(sock_net(sk).ipv4.tcp_congestion_control)
    k.mem.fill(icsk.$vaOf('icsk_ca_priv'), 0, k.types.sizeof('bictcp') + 44)
  },
)

/** The algorithm begins, when the connection stands. */
export const tcp_init_congestion_control = kfunc(
  FILE,
  function tcp_init_congestion_control(k, sk: sock): void {
    const icsk = inet_csk(k, sk)
    tcp_sk(k, sk).prior_ssthresh = 0
    const { init } = deref(icsk.icsk_ca_ops)
    if (init !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(init)(k, sk)
    icsk.icsk_ca_initialized = 1
  },
)

export const tcp_cleanup_congestion_control = kfunc(
  FILE,
  function tcp_cleanup_congestion_control(k, sk: sock): void {
    const icsk = inet_csk(k, sk)
    const release = icsk.icsk_ca_ops?.release ?? 0n
    if (icsk.icsk_ca_initialized === 1 && release !== 0n)
      k.indirect<(k: Kernel, sk: sock) => void>(release)(k, sk)
    icsk.icsk_ca_initialized = 0
  },
)

/** The child goes on with its listener's algorithm, not yet begun. @see net/ipv4/tcp_minisocks.c:tcp_ca_openreq_child */
export const tcp_ca_openreq_child = kfunc(
  'net/ipv4/tcp_minisocks.c',
  function tcp_ca_openreq_child(k, sk: sock): void {
    inet_csk(k, sk).icsk_ca_setsockopt = 0
    tcp_set_ca_state(k, sk, TCP_CA_Open)
  },
)

export const tcp_set_ca_state = kfunc(FILE, function tcp_set_ca_state(k, sk: sock, state: number): void {
  const icsk = inet_csk(k, sk)
  const set = icsk.icsk_ca_ops?.set_state ?? 0n
  if (set !== 0n && icsk.icsk_ca_initialized === 1) {
    k.indirect<(k: Kernel, sk: sock, state: number) => void>(set)(k, sk, state)
  }
  icsk.icsk_ca_state = state
})

export const tcp_ca_event = (k: Kernel, sk: sock, event: number): void => {
  const handler = inet_csk(k, sk).icsk_ca_ops?.cwnd_event ?? 0n
  if (handler !== 0n) k.indirect<(k: Kernel, sk: sock, event: number) => void>(handler)(k, sk, event)
}

/** Grow with every ACK. @returns ACKs left over when slow start ends */
export const tcp_slow_start = kfunc(FILE, function tcp_slow_start(_k, tp: tcp_sock, acked: number): number {
  const cwnd = Math.min(tp.snd_cwnd + acked, tp.snd_ssthresh)
  const left = acked - (cwnd - tp.snd_cwnd)
  tp.snd_cwnd = Math.min(cwnd, tp.snd_cwnd_clamp)
  return left
})

/** Grow by one segment for every `w` acknowledged. */
export const tcp_cong_avoid_ai = kfunc(
  FILE,
  function tcp_cong_avoid_ai(_k, tp: tcp_sock, w: number, acked: number): void {
    if (tp.snd_cwnd_cnt >= w) {
      tp.snd_cwnd_cnt = 0
      tp.snd_cwnd = tp.snd_cwnd + 1
    }
    tp.snd_cwnd_cnt = tp.snd_cwnd_cnt + acked
    if (tp.snd_cwnd_cnt >= w) {
      const delta = Math.floor(tp.snd_cwnd_cnt / w)
      tp.snd_cwnd_cnt = tp.snd_cwnd_cnt - delta * w
      tp.snd_cwnd = tp.snd_cwnd + delta
    }
    tp.snd_cwnd = Math.min(tp.snd_cwnd, tp.snd_cwnd_clamp)
  },
)

export const tcp_reno_cong_avoid = kfunc(
  FILE,
  function tcp_reno_cong_avoid(k, sk: sock, _ack: number, acked: number): void {
    const tp = tcp_sk(k, sk)
    const left = tcp_in_slow_start(tp) ? tcp_slow_start(k, tp, acked) : acked
    if (left > 0) tcp_cong_avoid_ai(k, tp, tp.snd_cwnd, left)
  },
)

export const tcp_reno_ssthresh = kfunc(FILE, function tcp_reno_ssthresh(k, sk: sock): number {
  return Math.max(tcp_sk(k, sk).snd_cwnd >>> 1, 2)
})

export const tcp_reno_undo_cwnd = kfunc(FILE, function tcp_reno_undo_cwnd(k, sk: sock): number {
  const tp = tcp_sk(k, sk)
  return Math.max(tp.snd_cwnd, tp.prior_cwnd)
})
