/** Queues of datagrams and who waits for them: shared by UDP and UNIX sockets. @see net/core/datagram.c */

import type { StructRef } from '../../../btf/ref.ts'
import type { file, iov_iter, sk_buff, sk_buff_head, sock, socket } from '../../../btf/vmlinux.ts'
import { EAGAIN, EFAULT, ENOTCONN } from '../../../abi/errno.ts'
import * as P from '../../../abi/poll.ts'
import { TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import {
  MSG_DONTWAIT,
  MSG_PEEK,
  RCV_SHUTDOWN,
  SHUTDOWN_MASK,
  SOCK_NOSPACE,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../../abi/socket.ts'
import { TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_SENT } from '../../../abi/tcp_states.ts'
import { deref } from '../../deref.ts'
import { poll_wait } from '../../fs/poll_wait.ts'
import { sock_error, sock_intr_errno, sock_rcvtimeo, sock_writeable } from '../../include/net/sock.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { signal_pending } from '../../kernel/sched/core.ts'
import {
  DEFINE_WAIT,
  finish_wait,
  prepare_to_wait_exclusive,
  type WakeFunction,
  autoremove_wake_function,
} from '../../kernel/sched/wait.ts'
import { schedule_timeout } from '../../kernel/time/timer.ts'
import { copy_to_iter } from '../../lib/iov_iter.ts'
import { __skb_unlink, consume_skb, skb_data, skb_peek, skb_peek_tail, skb_queue_empty } from './skbuff.ts'

const FILE = 'net/core/datagram.c'

/** What a wait or a look came to. */
export interface DatagramError {
  /** 0 or a negative errno */
  err: number
}

/** A sleeper for packets: wakes for input and errors only. @see net/core/datagram.c:receiver_wake_function */
const receiver_wake_function = kfunc(
  FILE,
  function receiver_wake_function(
    k,
    wait: Parameters<WakeFunction>[1],
    mode: number,
    sync: number,
    key: number,
  ): number {
    if (key !== 0 && (key & (P.EPOLLIN | P.EPOLLERR)) === 0) return 0
    return autoremove_wake_function(k, wait, mode, sync, key)
  },
)

const connectionBased = (sk: sock): boolean => sk.sk_type === SOCK_SEQPACKET || sk.sk_type === SOCK_STREAM

/** Why nobody need wait any longer. @returns undefined to go on */
function endOfWait(k: Kernel, sk: sock, timeo: bigint): number | undefined {
  const error = sock_error(sk)
  if (error !== 0) return error
  if ((sk.sk_shutdown & RCV_SHUTDOWN) !== 0) return 0
  const { sk_state: state } = sk
  if (connectionBased(sk) && state !== TCP_ESTABLISHED && state !== TCP_LISTEN) return -ENOTCONN
  return signal_pending(k.current) ? sock_intr_errno(timeo) : undefined
}

/**
 * Sleep until the tail of a queue is another packet than `last`.
 *
 * @param last the last packet seen there; null: it was empty
 * @returns jiffies left, or why to give up: `error` 0 at the end of what will come
 * @see net/core/datagram.c:__skb_wait_for_more_packets
 */
export const __skb_wait_for_more_packets = kfunc(
  FILE,
  function* __skb_wait_for_more_packets(
    k,
    sk: sock,
    queue: sk_buff_head,
    timeo: bigint,
    last: sk_buff | null,
  ): Generator<unknown, { left: bigint } | { error: number }> {
    const wait = DEFINE_WAIT(k, receiver_wake_function)
    const { wait: head } = deref(sk.sk_wq)
    prepare_to_wait_exclusive(k, head, wait, TASK_INTERRUPTIBLE)
    let left = timeo
    let error: number | undefined
    if ((skb_peek_tail(k, queue)?.$va ?? 0) === (last?.$va ?? 0)) {
      error = endOfWait(k, sk, timeo)
      if (error === undefined) left = yield* schedule_timeout(k, timeo)
    }
    finish_wait(k, head, wait)
    return error === undefined ? { left } : { error }
  },
  { locals: 40 },
)

/**
 * Take (or look at) the first packet of a queue.
 * @see net/core/datagram.c:__skb_try_recv_from_queue
 * @remarks SO_PEEK_OFF is not simulated: a look begins at the first packet
 */
export const __skb_try_recv_from_queue = kfunc(
  FILE,
  function __skb_try_recv_from_queue(k, queue: sk_buff_head, flags: number): sk_buff | null {
    const skb = skb_peek(k, queue)
    if (skb === null) return null
    if ((flags & MSG_PEEK) === 0) __skb_unlink(k, skb, queue)
    else {
      skb.peeked = 1
      skb.users.refs.counter = skb.users.refs.counter + 1
    }
    return skb
  },
)

/**
 * Ask `take` for a packet until there is one, asleep in between unless told not to wait.
 *
 * @param queue whose tail changes when it is worth asking again
 * @param take  the next packet without waiting
 * @returns the packet, or null with `result.err` set
 */
export function* takeOrWait(
  k: Kernel,
  sk: sock,
  queue: sk_buff_head,
  flags: number,
  result: DatagramError,
  take: () => sk_buff | null,
): Generator<unknown, sk_buff | null> {
  let timeo = sock_rcvtimeo(sk, (flags & MSG_DONTWAIT) !== 0)
  for (;;) {
    result.err = sock_error(sk)
    if (result.err !== 0) return null
    const skb = take()
    if (skb !== null) return skb
    result.err = -EAGAIN
    if (timeo === 0n) return null
    const waited = yield* __skb_wait_for_more_packets(k, sk, queue, timeo, null)
    if ('error' in waited) {
      result.err = waited.error
      return null
    }
    timeo = waited.left
  }
}

/**
 * The next datagram, waiting for it unless told not to.
 * @returns the packet, or null with `result.err` set
 * @see net/core/datagram.c:__skb_recv_datagram
 */
export const __skb_recv_datagram = kfunc(
  FILE,
  function* __skb_recv_datagram(
    k,
    sk: sock,
    queue: sk_buff_head,
    flags: number,
    result: DatagramError,
  ): Generator<unknown, sk_buff | null> {
    return yield* takeOrWait(k, sk, queue, flags, result, () => __skb_try_recv_from_queue(k, queue, flags))
  },
)

/** @see net/core/datagram.c:skb_free_datagram */
export const skb_free_datagram = kfunc(FILE, function skb_free_datagram(k, _sk: sock, skb: sk_buff): void {
  consume_skb(k, skb)
})

/** @returns 0 or -EFAULT @see net/core/datagram.c:skb_copy_datagram_iter */
export const skb_copy_datagram_iter = kfunc(
  FILE,
  function skb_copy_datagram_iter(k, skb: sk_buff, offset: number, to: iov_iter, len: number): number {
    return copy_to_iter(k, skb_data(k, skb) + offset, len, to) === len ? 0 : -EFAULT
  },
)

/** @returns EPOLL bits @see net/core/datagram.c:datagram_poll */
export const datagram_poll = kfunc(
  FILE,
  function datagram_poll(k, file: file, sock: socket, wait: StructRef | null): number {
    const sk = deref(sock.sk)
    poll_wait(k, file, sock.wq.wait, wait)
    let mask = 0
    if (sk.sk_err !== 0 || !skb_queue_empty(k, sk.sk_error_queue)) mask |= P.EPOLLERR
    if ((sk.sk_shutdown & RCV_SHUTDOWN) !== 0) mask |= P.EPOLLRDHUP | P.EPOLLIN | P.EPOLLRDNORM
    if (sk.sk_shutdown === SHUTDOWN_MASK) mask |= P.EPOLLHUP
    if (!skb_queue_empty(k, sk.sk_receive_queue)) mask |= P.EPOLLIN | P.EPOLLRDNORM
    if (connectionBased(sk) && sk.sk_state === TCP_SYN_SENT) return mask
    if (sock_writeable(sk)) mask |= P.EPOLLOUT | P.EPOLLWRNORM | P.EPOLLWRBAND
    else sock.flags = sock.flags | BigInt(1 << SOCK_NOSPACE)
    return mask
  },
)
