/** Timers that hold a reference to their sock. */

import type { sock, timer_list } from '../../../../btf/vmlinux.ts'
import { kfunc } from '../../../kfunc.ts'
import { del_timer, mod_timer } from '../../../kernel/time/timer.ts'
import { __sock_put, sock_hold } from '../../../include/net/sock.ts'

/**
 * Start or move a timer; a started timer holds the sock.
 * @param expires absolute, in jiffies
 * @see net/core/sock.c:sk_reset_timer
 */
export const sk_reset_timer = kfunc(
  'net/core/sock.c',
  function sk_reset_timer(k, sk: sock, timer: timer_list, expires: bigint): void {
    if (!mod_timer(k, timer, expires)) sock_hold(sk)
  },
)

/** @see net/core/sock.c:sk_stop_timer */
export const sk_stop_timer = kfunc(
  'net/core/sock.c',
  function sk_stop_timer(k, sk: sock, timer: timer_list): void {
    if (del_timer(k, timer)) __sock_put(sk)
  },
)
