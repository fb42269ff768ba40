/** A connection's three timers: retransmission, delayed ACK, keepalive. @see net/ipv4/inet_connection_sock.c */

import type { sock, timer_list } from '../../../../btf/vmlinux.ts'
import {
  ICSK_TIME_DACK,
  ICSK_TIME_LOSS_PROBE,
  ICSK_TIME_PROBE0,
  ICSK_TIME_REO_TIMEOUT,
  ICSK_TIME_RETRANS,
} from '../../../../abi/tcp.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { timer_setup } from '../../../kernel/time/timer.ts'
import { jiffies } from '../../../kernel/time/timekeeping.ts'
import { inet_csk } from '../../../include/net/casts.ts'
import { sk_reset_timer, sk_stop_timer } from '../../core/sock/timer.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'
type TimerFunction = { readonly kfunc: { readonly name: string } } & ((k: Kernel, timer: timer_list) => void)

export const inet_csk_init_xmit_timers = kfunc(
  FILE,
  function inet_csk_init_xmit_timers(
    k,
    sk: sock,
    retransmit: TimerFunction,
    delack: TimerFunction,
    keepalive: TimerFunction,
  ): void {
    const icsk = inet_csk(k, sk)
    timer_setup(k, icsk.icsk_retransmit_timer, retransmit as never, 0)
    timer_setup(k, icsk.icsk_delack_timer, delack as never, 0)
    timer_setup(k, sk_keepalive(k, sk), keepalive as never, 0)
    icsk.icsk_pending = 0
    icsk.icsk_ack.pending = 0
  },
)

/** In 6.1.192 the keepalive timer is the connection's own, before it was `sk_timer`. */
export function sk_keepalive(k: Kernel, sk: sock): timer_list {
  if (k.types.has('inet_connection_sock', 'icsk_keepalive_timer')) {
    return inet_csk(k, sk).$ref('icsk_keepalive_timer') as timer_list
  }
  return sk.sk_timer
}

export const inet_csk_clear_xmit_timers = kfunc(FILE, function inet_csk_clear_xmit_timers(k, sk: sock): void {
  const icsk = inet_csk(k, sk)
  icsk.icsk_pending = 0
  icsk.icsk_ack.pending = 0
  sk_stop_timer(k, sk, icsk.icsk_retransmit_timer)
  sk_stop_timer(k, sk, icsk.icsk_delack_timer)
  sk_stop_timer(k, sk, sk_keepalive(k, sk))
})

export const inet_csk_delete_keepalive_timer = kfunc(
  FILE,
  function inet_csk_delete_keepalive_timer(k, sk: sock): void {
    sk_stop_timer(k, sk, sk_keepalive(k, sk))
  },
)

/** @param len jiffies from now */
export const inet_csk_reset_keepalive_timer = kfunc(
  FILE,
  function inet_csk_reset_keepalive_timer(k, sk: sock, len: number): void {
    sk_reset_timer(k, sk, sk_keepalive(k, sk), jiffies(k) + BigInt(len))
  },
)

/**
 * Start one of the timers; retransmission, probes and loss probe share one.
 * @param when jiffies from now
 * @param max  upper bound
 * @see include/net/inet_connection_sock.h:inet_csk_reset_xmit_timer
 */
export function inet_csk_reset_xmit_timer(
  k: Kernel,
  sk: sock,
  what: number,
  when: number,
  max: number,
): void {
  const icsk = inet_csk(k, sk)
  const expires = jiffies(k) + BigInt(Math.min(when, max))
  switch (what) {
    case ICSK_TIME_RETRANS:
    case ICSK_TIME_PROBE0:
    case ICSK_TIME_LOSS_PROBE:
    case ICSK_TIME_REO_TIMEOUT:
      icsk.icsk_pending = what
      icsk.icsk_timeout = expires
      sk_reset_timer(k, sk, icsk.icsk_retransmit_timer, expires)
      break
    case ICSK_TIME_DACK:
      icsk.icsk_ack.pending = icsk.icsk_ack.pending | 2
      icsk.icsk_ack.timeout = expires
      sk_reset_timer(k, sk, icsk.icsk_delack_timer, expires)
      break
  }
}

/**
 * The timer is left running: it finds `icsk_pending` clear and does nothing, which is cheaper than stopping it.
 * @see include/net/inet_connection_sock.h:inet_csk_clear_xmit_timer
 */
export function inet_csk_clear_xmit_timer(k: Kernel, sk: sock, what: number): void {
  const icsk = inet_csk(k, sk)
  if (what === ICSK_TIME_DACK) {
    icsk.icsk_ack.pending = 0
    icsk.icsk_ack.retry = 0
  } else icsk.icsk_pending = 0
}
