/**
 * The socket lock: a process owns the sock (`sk_lock.owned`) while it works on it; packets that arrive meanwhile
 * wait on the backlog and are handled when the process lets go.
 */

import { InvariantError } from '../../../../base/errors.ts'
import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { TASK_INTERRUPTIBLE } from '../../../../abi/sched.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import {
  DEFINE_WAIT,
  add_wait_queue,
  remove_wait_queue,
  wake_up,
  waitqueue_active,
  woken_wake_function,
} from '../../../kernel/sched/wait.ts'
import { wait_woken } from '../../../kernel/sched/wait_woken.ts'
import { __local_bh_enable_ip, local_bh_disable } from '../../../kernel/softirq.ts'
import { deref } from '../../../deref.ts'
import { sk_prot, sk_rmem_alloc_get } from '../../../include/net/sock.ts'

const FILE = 'net/core/sock.c'

/**
 * Take a sock for the running process.
 *
 * @remarks threads of the simulator change only where they sleep, and whoever sleeps has let the sock go, so the wait
 * for another owner (`__lock_sock`) cannot happen
 */
export const lock_sock_nested = kfunc(FILE, function lock_sock_nested(_k, sk: sock): void {
  const { sk_lock } = sk
  if (sk_lock.owned !== 0) throw new InvariantError('a sock is locked twice')
  sk_lock.owned = 1
})

export const lock_sock = (k: Kernel, sk: sock): void => lock_sock_nested(k, sk)

/** Packets that came while the sock was owned. @see net/core/sock.c:__release_sock */
export const __release_sock = kfunc(FILE, function __release_sock(k, sk: sock): void {
  const { sk_backlog } = sk
  __local_bh_enable_ip(k)
  for (let skb = sk_backlog.head; skb !== null; skb = sk_backlog.head) {
    sk_backlog.head = null
    sk_backlog.tail = null
    for (let each: sk_buff | null = skb; each !== null;) {
      const next: sk_buff | null = each.next
      each.next = null
      sk_backlog_rcv(k, sk, each)
      each = next
    }
  }
  local_bh_disable(k)
  // zeroed only now: what came while the backlog was worked off counted as well
  sk_backlog.len = 0
})

/** Let a sock go: work off its backlog and what timers put off, then wake who waits for it. */
export const release_sock = kfunc(FILE, function release_sock(k, sk: sock): void {
  const { sk_lock } = sk
  local_bh_disable(k)
  if (sk.sk_backlog.tail !== null) __release_sock(k, sk)
  const { release_cb } = sk_prot(sk)
  if (release_cb !== 0n) k.indirect<(k: Kernel, sk: sock) => void>(release_cb)(k, sk)
  sk_lock.owned = 0
  if (waitqueue_active(k, sk_lock.wq)) wake_up(k, sk_lock.wq)
  __local_bh_enable_ip(k)
})

/** @see include/net/sock.h:sk_backlog_rcv */
export function sk_backlog_rcv(k: Kernel, sk: sock, skb: sk_buff): number {
  return k.indirect<(k: Kernel, sk: sock, skb: sk_buff) => number>(sk.sk_backlog_rcv)(k, sk, skb)
}

/** Chain a packet to the backlog. @see include/net/sock.h:__sk_add_backlog */
export function __sk_add_backlog(sk: sock, skb: sk_buff): void {
  const { sk_backlog } = sk
  const { tail } = sk_backlog
  if (tail === null) sk_backlog.head = skb
  else tail.next = skb
  sk_backlog.tail = skb
  skb.next = null
}

/** @returns false when the backlog has grown past `limit` bytes. @see include/net/sock.h:sk_add_backlog */
export function sk_add_backlog(sk: sock, skb: sk_buff, limit: number): boolean {
  const { sk_backlog } = sk
  if (sk_rmem_alloc_get(sk) + sk_backlog.len > limit) return false
  __sk_add_backlog(sk, skb)
  sk_backlog.len = sk_backlog.len + skb.truesize
  return true
}

/**
 * Sleep until data arrives, the sock let go meanwhile.
 *
 * @param timeo jiffies left
 * @param skb   the last packet seen on the receive queue: another one behind it ends the wait
 * @returns jiffies left
 * @see net/core/sock.c:sk_wait_data
 */
export const sk_wait_data = kfunc(
  FILE,
  function* sk_wait_data(k, sk: sock, timeo: bigint, skb: sk_buff | null): Generator<unknown, bigint> {
    const wait = DEFINE_WAIT(k, woken_wake_function)
    const { wait: head } = deref(sk.sk_wq)
    let left = timeo
    add_wait_queue(k, head, wait)
    release_sock(k, sk)
    if (!hasMore(k, sk, skb)) left = yield* wait_woken(k, wait, TASK_INTERRUPTIBLE, left)
    lock_sock(k, sk)
    remove_wait_queue(k, head, wait)
    return left
  },
  { locals: 40 },
)

/** Is the tail of the receive queue another packet than `skb`? */
function hasMore(k: Kernel, sk: sock, skb: sk_buff | null): boolean {
  const queue = sk.sk_receive_queue
  const tail = k.mem.pointer(queue.$va + k.mem.wordSize)
  return (tail === queue.$va ? 0 : tail) !== (skb?.$va ?? 0)
}
