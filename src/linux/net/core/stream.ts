/** What stream protocols share: waiting for a connection, for room, for the end. */

import type { sock } from '../../../btf/vmlinux.ts'
import { EAGAIN, EPIPE } from '../../../abi/errno.ts'
import { EPOLLOUT, EPOLLWRBAND, EPOLLWRNORM } from '../../../abi/poll.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { MSG_NOSIGNAL, SEND_SHUTDOWN, SOCK_NOSPACE } from '../../../abi/socket.ts'
import { TCPF_CLOSE_WAIT, TCPF_ESTABLISHED, TCPF_SYN_RECV, TCPF_SYN_SENT } from '../../../abi/tcp_states.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { deref } from '../../deref.ts'
import {
  DEFINE_WAIT,
  __wake_up,
  add_wait_queue,
  remove_wait_queue,
  waitqueue_active,
  woken_wake_function,
} from '../../kernel/sched/wait.ts'
import { wait_woken } from '../../kernel/sched/wait_woken.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import { SIGPIPE } from '../../../abi/signal.ts'
import { send_sig } from '../../kernel/signal.ts'
import { sk_stream_is_writeable, sock_error, sock_intr_errno } from '../../include/net/sock.ts'
import { lock_sock, release_sock } from './sock/lock.ts'
import { sk_mem_reclaim_final } from './sock/mem.ts'
import { __skb_queue_purge } from './skbuff.ts'

const FILE = 'net/core/stream.c'

/** Room in the send buffer: wake writers once a third is free. */
export const sk_stream_write_space = kfunc(FILE, function sk_stream_write_space(k, sk: sock): void {
  const sock = sk.sk_socket
  if (sock === null || !sk_stream_is_writeable(sk)) return
  sock.flags = sock.flags & ~BigInt(1 << SOCK_NOSPACE)
  const wq = sk.sk_wq
  if (wq !== null && waitqueue_active(k, wq.wait)) {
    __wake_up(k, wq.wait, TASK_INTERRUPTIBLE, 1, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
  }
})

/**
 * Sleep, the sock let go, until `done` or the time is over.
 * @returns jiffies left
 */
export function* sk_wait_event(
  k: Kernel,
  sk: sock,
  timeo: bigint,
  wait: ReturnType<typeof DEFINE_WAIT>,
  done: () => boolean,
): Generator<unknown, bigint> {
  let left = timeo
  release_sock(k, sk)
  if (!done()) left = yield* wait_woken(k, wait, TASK_INTERRUPTIBLE, left)
  lock_sock(k, sk)
  return left
}

/** Wait until a connection stands. @returns 0 or a negative error number; jiffies left go to `timeo` */
export const sk_stream_wait_connect = kfunc(
  FILE,
  function* sk_stream_wait_connect(k, sk: sock, timeo: { left: bigint }): Generator<unknown, number> {
    const wait = DEFINE_WAIT(k, woken_wake_function)
    const connected = (): boolean =>
      sk.sk_err !== 0 || ((1 << sk.sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)) !== 0
    do {
      const err = sock_error(sk)
      if (err !== 0) return err
      if (((1 << sk.sk_state) & ~(TCPF_SYN_SENT | TCPF_SYN_RECV)) !== 0) return -EPIPE
      if (timeo.left === 0n) return -EAGAIN
      if (signal_pending(k.current)) return sock_intr_errno(timeo.left)
      const { wait: head } = deref(sk.sk_wq)
      add_wait_queue(k, head, wait)
      sk.sk_write_pending = sk.sk_write_pending + 1
      timeo.left = yield* sk_wait_event(k, sk, timeo.left, wait, connected)
      remove_wait_queue(k, head, wait)
      sk.sk_write_pending = sk.sk_write_pending - 1
    } while (!connected())
    return 0
  },
  { locals: 40 },
)

/** Wait until the send buffer has room. */
export const sk_stream_wait_memory = kfunc(
  FILE,
  function* sk_stream_wait_memory(k, sk: sock, timeo: { left: bigint }): Generator<unknown, number> {
    const wait = DEFINE_WAIT(k, woken_wake_function)
    const { wait: head } = deref(sk.sk_wq)
    const free = (): boolean => sk.sk_wmem_queued < sk.sk_sndbuf
    const ready = (): boolean =>
      sk.sk_err !== 0 || (sk.sk_shutdown & SEND_SHUTDOWN) !== 0 || (free() && sk_stream_is_writeable(sk))
    add_wait_queue(k, head, wait)
    try {
      for (;;) {
        if (sk.sk_err !== 0 || (sk.sk_shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE
        if (timeo.left === 0n) return -EAGAIN
        if (signal_pending(k.current)) return sock_intr_errno(timeo.left)
        if (free()) return 0
        const sock = deref(sk.sk_socket)
        sock.flags = sock.flags | BigInt(1 << SOCK_NOSPACE)
        sk.sk_write_pending = sk.sk_write_pending + 1
        timeo.left = yield* sk_wait_event(k, sk, timeo.left, wait, ready)
        sk.sk_write_pending = sk.sk_write_pending - 1
      }
    } finally {
      if (sk.sk_wq !== null) remove_wait_queue(k, head, wait)
    }
  },
  { locals: 40 },
)

/** A write failed: EPIPE takes the pending error's place and raises SIGPIPE. */
export const sk_stream_error = kfunc(
  FILE,
  function sk_stream_error(k, sk: sock, flags: number, err: number): number {
    let error = err
    if (error === -EPIPE) error = sock_error(sk) || -EPIPE
    if (error === -EPIPE && (flags & MSG_NOSIGNAL) === 0) send_sig(k, SIGPIPE, k.current, 0)
    return error
  },
)

/** The sock is done for: what was received is thrown away, what it reserved goes back. */
export const sk_stream_kill_queues = kfunc(FILE, function sk_stream_kill_queues(k, sk: sock): void {
  __skb_queue_purge(k, sk.sk_receive_queue)
  __skb_queue_purge(k, sk.sk_error_queue)
  sk_mem_reclaim_final(k, sk)
})
