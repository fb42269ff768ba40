/** What is remembered of hosts talked to before. */

import type { sock } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { inet_csk, tcp_sk } from '../../include/net/casts.ts'
import { TCP_TIMEOUT_FALLBACK } from '../../../abi/tcp.ts'

/**
 * Start from what earlier connections to the host learned.
 *
 * @see net/ipv4/tcp_metrics.c:tcp_init_metrics
 * @remarks nothing is remembered: every connection begins as the first one does
 */
export const tcp_init_metrics = kfunc('net/ipv4/tcp_metrics.c', function tcp_init_metrics(k, sk: sock): void {
  const tp = tcp_sk(k, sk)
  if (tp.srtt_us !== 0) return
  // no round trip was measured: be careful, as long as that is so
  const us = (TCP_TIMEOUT_FALLBACK * 1_000_000) / 250
  tp.rttvar_us = us
  tp.mdev_us = us
  tp.mdev_max_us = us
  inet_csk(k, sk).icsk_rto = TCP_TIMEOUT_FALLBACK
})
