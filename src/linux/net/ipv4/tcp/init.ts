/** A TCP sock's first values, and the tables TCP makes at boot. */

import type { sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { SOCK_USE_WRITE_QUEUE } from '../../../../abi/sock.ts'
import {
  TCP_DELACK_MAX,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  TCP_MSS_DEFAULT,
  TCP_RTO_MIN,
  TCP_TIMEOUT_INIT,
} from '../../../../abi/tcp.ts'
import { INIT_LIST_HEAD } from '../../../../structures/list.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { percpu_counter_add } from '../../core/sock/alloc.ts'
import { sk_stream_write_space } from '../../core/stream.ts'
import { sk_prot, sock_net, sock_set_flag } from '../../../include/net/sock.ts'
import { inet_csk, tcp_sk } from '../../../include/net/casts.ts'
import { tcp_jiffies32 } from '../../../include/net/tcp.ts'
import { tcp_assign_congestion_control } from '../tcp_cong.ts'
import { tcp_sync_mss } from '../tcp_output.ts'
import { tcp_init_xmit_timers } from '../tcp_timer.ts'

const FILE = 'net/ipv4/tcp.c'
const U32_MAX = 0xffff_ffff
const TCP_CHRONO_UNSPEC = 0
export const TCP_WMEM_DEFAULT = 16384
export const TCP_RMEM_DEFAULT = 131072

/** `minmax_reset`: one sample in all three places. @see lib/win_minmax.c */
export function minmax_reset(k: Kernel, tp: tcp_sock, time: number, value: number): void {
  const { rtt_min } = tp
  for (let i = 0; i < 3; i++) {
    k.mem.setU32(rtt_min.$va + 8 * i, time)
    k.mem.setU32(rtt_min.$va + 8 * i + 4, value)
  }
}

/** @see net/ipv4/tcp.c:tcp_init_sock */
export const tcp_init_sock = kfunc(FILE, function tcp_init_sock(k, sk: sock): void {
  const icsk = inet_csk(k, sk)
  const tp = tcp_sk(k, sk)
  const { ipv4 } = sock_net(sk)
  tp.out_of_order_queue.rb_node = null
  sk.tcp_rtx_queue.rb_node = null
  tcp_init_xmit_timers(k, sk)
  INIT_LIST_HEAD(k.mem, tp.tsq_node.$va)
  INIT_LIST_HEAD(k.mem, tp.tsorted_sent_queue.$va)
  icsk.icsk_rto = TCP_TIMEOUT_INIT
  icsk.icsk_rto_min = TCP_RTO_MIN
  icsk.icsk_delack_max = TCP_DELACK_MAX
  tp.mdev_us = (TCP_TIMEOUT_INIT * 1_000_000) / 250
  minmax_reset(k, tp, tcp_jiffies32(k), U32_MAX)
  tp.snd_cwnd = TCP_INIT_CWND
  // nothing is known of the path: everything sent counts as limited by the application
  tp.app_limited = U32_MAX
  tp.rate_app_limited = 1
  tp.snd_ssthresh = TCP_INFINITE_SSTHRESH
  tp.snd_cwnd_clamp = U32_MAX
  tp.mss_cache = TCP_MSS_DEFAULT
  tp.reordering = ipv4.sysctl_tcp_reordering
  tcp_assign_congestion_control(k, sk)
  tp.tsoffset = 0
  tp.rack.reo_wnd_steps = 1
  sk.sk_write_space = k.text(sk_stream_write_space)
  sock_set_flag(k, sk, SOCK_USE_WRITE_QUEUE)
  icsk.icsk_sync_mss = k.text(tcp_sync_mss)
  sk.sk_sndbuf = ipv4.sysctl_tcp_wmem.num(1)
  sk.sk_rcvbuf = ipv4.sysctl_tcp_rmem.num(1)
  tp.chrono_type = TCP_CHRONO_UNSPEC
  const allocated = sk_prot(sk).sockets_allocated
  if (allocated !== null) percpu_counter_add(k, allocated.$va, 1)
})
