/** A sock's defaults and default callbacks: who is told when data, space or an error arrives. */

import type { sock, socket } from '../../../../btf/vmlinux.ts'
import { MAX_SCHEDULE_TIMEOUT } from '../../../../abi/jiffies.ts'
import { SK_MEM_DEFAULT, SOCK_ZAPPED } from '../../../../abi/sock.ts'
import {
  EPOLLERR,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDNORM,
  EPOLLWRBAND,
  EPOLLWRNORM,
} from '../../../../abi/poll.ts'
import { TCP_CLOSE } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __wake_up, __wake_up_sync_key, waitqueue_active } from '../../../kernel/sched/wait.ts'
import { timer_setup } from '../../../kernel/time/timer.ts'
import { atomic_set, refcount_set } from '../../../lib/refcount.ts'
import { sk_rx_queue_clear, sk_set_socket, sock_set_flag, sock_writeable } from '../../../include/net/sock.ts'
import { sk_init_common } from './alloc.ts'

const FILE = 'net/core/sock.c'
const TASK_INTERRUPTIBLE = 1
/** GFP_KERNEL */
const GFP_KERNEL = 0xcc0
/** SK_DEFAULT_STAMP: no packet's time has been taken yet. */
const SK_DEFAULT_STAMP = -1_000_000_000n
const ULONG_MAX = 0xffff_ffff_ffff_ffffn

/**
 * Fill a fresh sock with what holds for every family and tie it to its socket.
 *
 * @param sock `struct socket *`, `null` for a sock of the kernel's own
 * @param uid  owner
 * @see net/core/sock.c:sock_init_data_uid
 */
export const sock_init_data_uid = kfunc(
  FILE,
  function sock_init_data_uid(k, sock: socket | null, sk: sock, uid: number): void {
    sk_init_common(k, sk)
    sk.sk_send_head = null
    timer_setup(k, sk.sk_timer, 0n, 0)
    sk.sk_allocation = GFP_KERNEL
    sk.sk_rcvbuf = SK_MEM_DEFAULT
    sk.sk_sndbuf = SK_MEM_DEFAULT
    sk.sk_state = TCP_CLOSE
    sk.sk_use_task_frag = 1
    sk_set_socket(sk, sock)
    sock_set_flag(k, sk, SOCK_ZAPPED)
    if (sock !== null) {
      sk.sk_type = sock.type
      sk.sk_wq = sock.wq
      sock.sk = sk
    } else sk.sk_wq = null
    sk.sk_uid.val = uid
    sk.sk_state_change = k.text(sock_def_wakeup)
    sk.sk_data_ready = k.text(sock_def_readable)
    sk.sk_write_space = k.text(sock_def_write_space)
    sk.sk_error_report = k.text(sock_def_error_report)
    sk.sk_destruct = k.text(sock_def_destruct)
    sk.sk_frag.page = null
    sk.sk_frag.offset = 0
    sk.sk_peek_off = -1
    sk.sk_peer_pid = null
    sk.sk_peer_cred = null
    sk.sk_write_pending = 0
    sk.sk_rcvlowat = 1
    sk.sk_rcvtimeo = MAX_SCHEDULE_TIMEOUT(k.mem.wordSize)
    sk.sk_sndtimeo = MAX_SCHEDULE_TIMEOUT(k.mem.wordSize)
    sk.sk_stamp = SK_DEFAULT_STAMP
    atomic_set(sk.sk_zckey, 0)
    sk.sk_napi_id = 0
    sk.sk_ll_usec = 0
    sk.sk_max_pacing_rate = ULONG_MAX
    sk.sk_pacing_rate = ULONG_MAX
    sk.sk_pacing_shift = 10
    sk.sk_incoming_cpu = -1
    sk_rx_queue_clear(sk)
    refcount_set(sk.sk_refcnt, 1)
    atomic_set(sk.sk_drops, 0)
  },
)

/** As {@link sock_init_data_uid}; the owner is the socket's inode's. */
export const sock_init_data = kfunc(FILE, function sock_init_data(k, sock: socket | null, sk: sock): void {
  const uid =
    sock === null
      ? 0
      : sock.$containerOf<import('../../../../btf/vmlinux.ts').socket_alloc>('socket_alloc', 'socket')
          .vfs_inode.i_uid.val
  sock_init_data_uid(k, sock, sk, uid)
})

/** A sleeper somewhere behind `sk_wq`? @see include/net/sock.h:skwq_has_sleeper */
function hasSleeper(k: Kernel, sk: sock): boolean {
  const wq = sk.sk_wq
  return wq !== null && waitqueue_active(k, wq.wait)
}

/** The state changed: wake everybody. */
export const sock_def_wakeup = kfunc(FILE, function sock_def_wakeup(k, sk: sock): void {
  const wq = sk.sk_wq
  if (wq !== null && hasSleeper(k, sk)) __wake_up(k, wq.wait, TASK_INTERRUPTIBLE, 0, 0)
})

/** Data (or a connection, for a listener) arrived: wake one reader and every poller. */
export const sock_def_readable = kfunc(FILE, function sock_def_readable(k, sk: sock): void {
  const wq = sk.sk_wq
  if (wq !== null && hasSleeper(k, sk)) {
    __wake_up_sync_key(k, wq.wait, TASK_INTERRUPTIBLE, EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND)
  }
})

export const sock_def_error_report = kfunc(FILE, function sock_def_error_report(k, sk: sock): void {
  const wq = sk.sk_wq
  if (wq !== null && hasSleeper(k, sk)) __wake_up(k, wq.wait, TASK_INTERRUPTIBLE, 1, EPOLLERR)
})

/** Room in the send buffer, for sockets that count it by packets (datagrams). */
export const sock_def_write_space = kfunc(FILE, function sock_def_write_space(k, sk: sock): void {
  const wq = sk.sk_wq
  if (wq === null || !sock_writeable(sk) || !hasSleeper(k, sk)) return
  __wake_up_sync_key(k, wq.wait, TASK_INTERRUPTIBLE, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
})

export const sock_def_destruct = kfunc(FILE, function sock_def_destruct(_k, _sk: sock): void {})

/** Tell the process about `sk_err`. @see net/core/sock.c:sk_error_report */
export const sk_error_report = kfunc(FILE, function sk_error_report(k, sk: sock): void {
  k.indirect<(k: Kernel, sk: sock) => void>(sk.sk_error_report)(k, sk)
})

/** A callback of the sock through its pointer in memory. */
export const callSock = (k: Kernel, pointer: bigint, sk: sock): void =>
  k.indirect<(k: Kernel, sk: sock) => void>(pointer)(k, sk)

export const sk_data_ready = (k: Kernel, sk: sock): void => callSock(k, sk.sk_data_ready, sk)
export const sk_state_change = (k: Kernel, sk: sock): void => callSock(k, sk.sk_state_change, sk)
export const sk_write_space = (k: Kernel, sk: sock): void => callSock(k, sk.sk_write_space, sk)

/** @see include/net/sock.h:sk_wake_async @remarks SIGIO (fasync) is not simulated */
export function sk_wake_async(_k: Kernel, _sk: sock, _how: number, _band: number): void {}
