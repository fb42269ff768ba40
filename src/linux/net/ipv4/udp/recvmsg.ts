/** Reading datagrams: from a queue of the reader's own, filled from the one packets arrive on. */

import type { StructRef } from '../../../../btf/ref.ts'
import { from } from '../../../../btf/ref.ts'
import type { file, msghdr, sk_buff, sock, socket } from '../../../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../../../abi/page.ts'
import { EPOLLIN, EPOLLRDNORM } from '../../../../abi/poll.ts'
import { AF_INET, MSG_PEEK, MSG_TRUNC } from '../../../../abi/socket.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { atomic_add } from '../../../lib/refcount.ts'
import {
  __skb_try_recv_from_queue,
  datagram_poll,
  skb_copy_datagram_iter,
  takeOrWait,
  type DatagramError,
} from '../../core/datagram.ts'
import { __sk_mem_reduce_allocated } from '../../core/sock.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  consume_skb,
  ip_hdr,
  kfree_skb,
  skb_queue_empty,
  skb_transport_header,
} from '../../core/skbuff.ts'
import { udp_reader_queue, udp_skb_len, udp_skb_truesize } from './rcv.ts'

const FILE = 'net/ipv4/udp.c'

/** What arrived goes behind what the reader has. @see include/linux/skbuff.h:skb_queue_splice_tail_init */
function splice(k: Kernel, sk: sock): void {
  const { sk_receive_queue } = sk
  for (let skb = __skb_dequeue(k, sk_receive_queue); skb !== null; skb = __skb_dequeue(k, sk_receive_queue)) {
    __skb_queue_tail(k, udp_reader_queue(k, sk), skb)
  }
}

/**
 * Give back what a datagram was charged; small amounts wait until more has come together.
 *
 * @param size    bytes
 * @param partial 1 while the sock lives on, 0 at its end
 * @see net/ipv4/udp.c:udp_rmem_release
 */
export const udp_rmem_release = kfunc(
  FILE,
  function udp_rmem_release(k, sk: sock, size: number, partial: number): void {
    const up = k.ref('udp_sock', sk)
    const total = up.forward_deficit + size
    if (partial !== 0 && total < sk.sk_rcvbuf >> 2 && !skb_queue_empty(k, up.reader_queue)) {
      up.forward_deficit = total
      return
    }
    up.forward_deficit = 0
    sk.sk_forward_alloc = sk.sk_forward_alloc + total
    const whole = (sk.sk_forward_alloc - partial) & ~(PAGE_SIZE - 1)
    sk.sk_forward_alloc = sk.sk_forward_alloc - whole
    if (whole !== 0) __sk_mem_reduce_allocated(k, sk, whole / PAGE_SIZE)
    atomic_add(-total, sk.sk_backlog.rmem_alloc)
    splice(k, sk)
  },
)

/** A datagram left the queue. @see net/ipv4/udp.c:udp_skb_destructor */
export const udp_skb_destructor = kfunc(FILE, function udp_skb_destructor(k, sk: sock, skb: sk_buff): void {
  udp_rmem_release(k, sk, udp_skb_truesize(k, skb), 1)
})

/** The next datagram without waiting. */
function take(k: Kernel, sk: sock, flags: number): sk_buff | null {
  const queue = udp_reader_queue(k, sk)
  const skb = __skb_try_recv_from_queue(k, queue, flags)
  if (skb !== null || skb_queue_empty(k, sk.sk_receive_queue)) return skb
  splice(k, sk)
  return __skb_try_recv_from_queue(k, queue, flags)
}

/** @returns the datagram, or null with `result.err` set @see net/ipv4/udp.c:__skb_recv_udp */
export const __skb_recv_udp = kfunc(
  FILE,
  function* __skb_recv_udp(
    k,
    sk: sock,
    flags: number,
    result: DatagramError,
  ): Generator<unknown, sk_buff | null> {
    const arrivals = sk.sk_receive_queue
    const skb = yield* takeOrWait(k, sk, arrivals, flags, result, () => take(k, sk, flags))
    if (skb !== null && (flags & MSG_PEEK) === 0) udp_skb_destructor(k, sk, skb)
    return skb
  },
)

/** Read to its end. @see net/ipv4/udp.c:skb_consume_udp */
export const skb_consume_udp = kfunc(FILE, function skb_consume_udp(k, _sk: sock, skb: sk_buff): void {
  consume_skb(k, skb)
})

/** Stores a datagram's sender at `msg->msg_name`, which is no null pointer. @returns bytes of the address */
export type NameSender = (k: Kernel, msg: msghdr, skb: sk_buff) => number

/** The sender, as recvfrom(2) tells it. */
const nameSender: NameSender = (k, msg, skb) => {
  const sin = k.ref('sockaddr_in', msg.msg_name)
  const uh = k.ref('udphdr', skb_transport_header(k, skb))
  sin.sin_family = AF_INET
  sin.sin_port = from(uh, 'source')
  sin.sin_addr.s_addr = from(ip_hdr(k, skb), 'saddr')
  k.mem.fill(sin.$va + 8, 0, 8)
  return sin.$size
}

/**
 * One datagram into the reader's buffers: all that udp_recvmsg and udpv6_recvmsg do but for the sender's address.
 *
 * @param addrlen receives the length of the sender's address in `msg->msg_name`
 * @returns bytes of one datagram (all of it with MSG_TRUNC), or a negative errno
 */
export function* receive(
  k: Kernel,
  sk: sock,
  msg: msghdr,
  len: number,
  flags: number,
  addrlen: { len: number },
  name: NameSender,
): Generator<unknown, number> {
  const result: DatagramError = { err: 0 }
  const skb = yield* __skb_recv_udp(k, sk, flags, result)
  if (skb === null) return result.err
  const whole = udp_skb_len(k, skb)
  const copied = Math.min(len, whole)
  if (copied < whole) msg.msg_flags = msg.msg_flags | MSG_TRUNC
  const err = skb_copy_datagram_iter(k, skb, 0, msg.msg_iter, copied)
  if (err !== 0) {
    kfree_skb(k, skb)
    return err
  }
  if (msg.msg_name !== 0n) addrlen.len = name(k, msg, skb)
  skb_consume_udp(k, sk, skb)
  return (flags & MSG_TRUNC) !== 0 ? whole : copied
}

/**
 * @param addrlen receives the length of the sender's address in `msg->msg_name`
 * @returns bytes of one datagram (all of it with MSG_TRUNC), or a negative errno
 * @see net/ipv4/udp.c:udp_recvmsg
 */
export const udp_recvmsg = kfunc(
  FILE,
  function* udp_recvmsg(
    k,
    sk: sock,
    msg: msghdr,
    len: number,
    flags: number,
    addrlen: { len: number } = { len: 0 },
  ): Generator<unknown, number> {
    return yield* receive(k, sk, msg, len, flags, addrlen, nameSender)
  },
)

/** @returns EPOLL bits @see net/ipv4/udp.c:udp_poll */
export const udp_poll = kfunc(
  FILE,
  function udp_poll(k, file: file, sock: socket, wait: StructRef | null): number {
    const mask = datagram_poll(k, file, sock, wait)
    const waiting = !skb_queue_empty(k, udp_reader_queue(k, deref(sock.sk)))
    return waiting ? mask | EPOLLIN | EPOLLRDNORM : mask
  },
)

/** What nobody read, at the end of a sock. @see net/ipv4/udp.c:udp_destruct_common */
export const udp_destruct_common = kfunc(FILE, function udp_destruct_common(k, sk: sock): void {
  splice(k, sk)
  let total = 0
  const queue = udp_reader_queue(k, sk)
  for (let skb = __skb_dequeue(k, queue); skb !== null; skb = __skb_dequeue(k, queue)) {
    total += udp_skb_truesize(k, skb)
    kfree_skb(k, skb)
  }
  udp_rmem_release(k, sk, total, 0)
})
