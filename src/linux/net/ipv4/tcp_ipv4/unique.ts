/** May a new connection take a TIME_WAIT stub's place? */

import type { inet_timewait_sock, sock } from '../../../../btf/vmlinux.ts'
import { kfunc } from '../../../kfunc.ts'
import { ipv4_is_loopback } from '../../../../abi/in.ts'
import { tcp_sk, tcp_twsk } from '../../../include/net/casts.ts'
import { sock_net } from '../../../include/net/sock.ts'
import { tcp_clock_ns } from '../../../include/net/tcp.ts'
import { refcount_inc } from '../../../lib/refcount.ts'

/**
 * With timestamps, a second later, and if the sysctl allows: the new connection's sequence numbers follow on.
 * @see net/ipv4/tcp_ipv4.c:tcp_twsk_unique
 */
export const tcp_twsk_unique = kfunc(
  'net/ipv4/tcp_ipv4.c',
  function tcp_twsk_unique(k, sk: sock, tw: inet_timewait_sock): boolean {
    const tcptw = tcp_twsk(k, tw)
    const tp = tcp_sk(k, sk)
    const { sysctl_tcp_tw_reuse: reuse } = sock_net(sk).ipv4
    const local = ipv4_is_loopback(tw.tw_daddr) || ipv4_is_loopback(tw.tw_rcv_saddr)
    const seconds = Number(tcp_clock_ns(k) / 1_000_000_000n)
    const allowed = reuse === 1 || (reuse === 2 && local)
    if (tcptw.tw_ts_recent_stamp === 0 || !allowed || seconds <= tcptw.tw_ts_recent_stamp) return false
    tp.write_seq = (tcptw.tw_snd_nxt + 65535 + 2) >>> 0 || 1
    tp.rx_opt.ts_recent = tcptw.tw_ts_recent
    tp.rx_opt.ts_recent_stamp = tcptw.tw_ts_recent_stamp
    refcount_inc(tw.tw_refcnt)
    return true
  },
)
