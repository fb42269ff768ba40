/** UNIX sockets come and go: socket(2), socketpair(2), the last close. */

import type { net, sock, socket } from '../../../btf/vmlinux.ts'
import { ECONNRESET, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from '../../../abi/errno.ts'
import { EPOLLOUT, EPOLLWRBAND, EPOLLWRNORM } from '../../../abi/poll.ts'
import {
  AF_UNIX,
  SHUTDOWN_MASK,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SS_CONNECTED,
  SS_UNCONNECTED,
} from '../../../abi/socket.ts'
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from '../../../abi/tcp_states.ts'
import { INIT_LIST_HEAD } from '../../../structures/list.ts'
import { deref } from '../../deref.ts'
import { dput } from '../../fs/dcache.ts'
import { mntput } from '../../fs/namespace.ts'
import { sock_hold, sock_orphan } from '../../include/net/sock.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { get_cred, put_cred } from '../../kernel/cred.ts'
import { get_pid, put_pid } from '../../kernel/pid.ts'
import {
  __wake_up_sync_key,
  init_waitqueue_func_entry,
  init_waitqueue_head,
  wake_up_interruptible,
  waitqueue_active,
} from '../../kernel/sched/wait.ts'
import { __skb_dequeue, __skb_queue_purge, kfree_skb, skb_queue_empty } from '../core/skbuff.ts'
import { sk_alloc, sk_state_change, sock_init_data, sock_put, sock_wfree } from '../core/sock.ts'
import type { sk_buff } from '../../../btf/vmlinux.ts'
import { sock_prot_inuse_add } from '../ipv4/inet_hashtables.ts'
import {
  insertSocket,
  unix_release_addr,
  unix_remove_bsd_socket,
  unix_remove_socket,
  unix_sk,
  unix_unbound_hash,
} from './names.ts'
import { atomic_long_dec, atomic_long_inc } from '../../lib/atomic_long.ts'
import { toVa } from '../../../base/addr.ts'

const FILE = 'net/unix/af_unix.c'
/** GFP_KERNEL_ACCOUNT */
const GFP_KERNEL_ACCOUNT = 0x400cc0
const TASK_INTERRUPTIBLE = 1

const nr_socks = (k: Kernel) =>
  k.ref(k.mem.wordSize === 8 ? 'atomic64_t' : 'atomic_t', toVa(k.sym('unix_nr_socks'), k.mem.wordSize))

/** Bound to a full peer, one is told when that has room. @see net/unix/af_unix.c:unix_dgram_peer_wake_relay */
export const unix_dgram_peer_wake_relay = kfunc(FILE, function unix_dgram_peer_wake_relay(): number {
  return 0
})

export const unix_writable = (sk: sock): boolean =>
  sk.sk_state !== TCP_LISTEN && sk.sk_wmem_alloc.refs.counter << 2 <= sk.sk_sndbuf

/** @see net/unix/af_unix.c:unix_write_space */
export const unix_write_space = kfunc(FILE, function unix_write_space(k, sk: sock): void {
  const wq = sk.sk_wq
  if (wq === null || !unix_writable(sk) || !waitqueue_active(k, wq.wait)) return
  __wake_up_sync_key(k, wq.wait, TASK_INTERRUPTIBLE, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
})

/** A message is gone: with it its sender's credentials, and the room it took. */
function forget(k: Kernel, skb: sk_buff): void {
  const { pid } = k.ref('unix_skb_parms', skb.$vaOf('cb'))
  if (pid !== null) put_pid(k, pid)
  sock_wfree(k, skb)
}

/** @see net/unix/af_unix.c:unix_wfree */
const unix_wfree = kfunc(FILE, function unix_wfree(k, skb: sk_buff): void {
  forget(k, skb)
})

/** What unix_wfree was called before. @see net/unix/scm.c:unix_destruct_scm */
const unix_destruct_scm = kfunc('net/unix/scm.c', function unix_destruct_scm(k, skb: sk_buff): void {
  forget(k, skb)
})

/** `skb->destructor` of a message. */
export const unixDestructor = (k: Kernel): bigint =>
  k.textIfAny(unix_wfree.kfunc) ?? k.text(unix_destruct_scm)

/** @see net/unix/af_unix.c:unix_sock_destructor */
export const unix_sock_destructor = kfunc(FILE, function unix_sock_destructor(k, sk: sock): void {
  const u = unix_sk(k, sk)
  __skb_queue_purge(k, sk.sk_receive_queue)
  if (u.addr !== null) unix_release_addr(k, u.addr)
  if (sk.sk_peer_pid !== null) put_pid(k, sk.sk_peer_pid)
  if (sk.sk_peer_cred !== null) put_cred(k, sk.sk_peer_cred)
  atomic_long_dec(nr_socks(k))
  sock_prot_inuse_add(k, sk, -1)
})

/**
 * A socket without a name or peer.
 * @param sock `struct socket *`, `null` for the end of a connection that nobody has accepted
 */
export const unix_create1 = kfunc(
  FILE,
  function unix_create1(k, net: net, sock: socket | null, kern: boolean, type: number): sock {
    atomic_long_inc(nr_socks(k))
    const prot = k.global(type === SOCK_STREAM ? 'unix_stream_proto' : 'unix_dgram_proto', 'proto')
    const sk = sk_alloc(k, net, AF_UNIX, prot, kern)
    sock_init_data(k, sock, sk)
    sk.sk_hash = unix_unbound_hash(sk)
    sk.sk_allocation = GFP_KERNEL_ACCOUNT
    sk.sk_write_space = k.text(unix_write_space)
    sk.sk_max_ack_backlog = net.unx.sysctl_max_dgram_qlen
    sk.sk_destruct = k.text(unix_sock_destructor)
    const u = unix_sk(k, sk)
    for (const lock of [u.iolock, u.bindlock]) INIT_LIST_HEAD(k.mem, lock.wait_list.$va)
    init_waitqueue_head(k, u.peer_wq.wait)
    init_waitqueue_func_entry(u.peer_wake, k.text(unix_dgram_peer_wake_relay))
    insertSocket(k, sk)
    sock_prot_inuse_add(k, sk, 1)
    return sk
  },
)

/** @returns 0, -EPROTONOSUPPORT, -ESOCKTNOSUPPORT @see net/unix/af_unix.c:unix_create */
export const unix_create = kfunc(
  FILE,
  function unix_create(k, net: net, sock: socket, protocol: number, kern: number): number {
    if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT
    sock.state = SS_UNCONNECTED
    const tables: Readonly<Record<number, string>> = {
      [SOCK_STREAM]: 'unix_stream_ops',
      [SOCK_DGRAM]: 'unix_dgram_ops',
      [SOCK_RAW]: 'unix_dgram_ops',
      [SOCK_SEQPACKET]: 'unix_seqpacket_ops',
    }
    const ops = tables[sock.type]
    if (ops === undefined) return -ESOCKTNOSUPPORT
    if (sock.type === SOCK_RAW) sock.type = SOCK_DGRAM
    sock.ops = k.global(ops, 'proto_ops')
    unix_create1(k, net, sock, kern !== 0, sock.type)
    return 0
  },
)

/** Who this end is, for the peer to ask. @see net/unix/af_unix.c:init_peercred */
export const init_peercred = kfunc(FILE, function init_peercred(k, sk: sock): void {
  const leader = deref(k.current.group_leader)
  sk.sk_peer_pid = get_pid(deref(leader.thread_pid))
  sk.sk_peer_cred = get_cred(deref(k.current.cred))
})

/** As the listener was when it began to listen. @see net/unix/af_unix.c:copy_peercred */
export function copy_peercred(sk: sock, peersk: sock): void {
  sk.sk_peer_pid = get_pid(deref(peersk.sk_peer_pid))
  sk.sk_peer_cred = get_cred(deref(peersk.sk_peer_cred))
}

/** @returns 0 @see net/unix/af_unix.c:unix_socketpair */
export const unix_socketpair = kfunc(FILE, function unix_socketpair(k, socka: socket, sockb: socket): number {
  const [ska, skb] = [deref(socka.sk), deref(sockb.sk)]
  sock_hold(ska)
  sock_hold(skb)
  unix_sk(k, ska).peer = skb
  unix_sk(k, skb).peer = ska
  for (const sk of [ska, skb]) {
    init_peercred(k, sk)
    sk.sk_state = TCP_ESTABLISHED
  }
  socka.state = SS_CONNECTED
  sockb.state = SS_CONNECTED
  return 0
})

/**
 * @param embrion nobody has accepted it: its peer is told that the connection was reset
 * @see net/unix/af_unix.c:unix_release_sock
 */
export const unix_release_sock = kfunc(FILE, function unix_release_sock(k, sk: sock, embrion: boolean): void {
  const u = unix_sk(k, sk)
  unix_remove_socket(k, sk)
  unix_remove_bsd_socket(k, sk)
  sock_orphan(k, sk)
  sk.sk_shutdown = SHUTDOWN_MASK
  const { dentry, mnt } = u.path
  u.path.dentry = null
  u.path.mnt = null
  const state = sk.sk_state
  sk.sk_state = TCP_CLOSE
  const peer = u.peer
  u.peer = null
  wake_up_interruptible(k, u.peer_wq.wait)
  if (peer !== null) leave(k, sk, peer, embrion)
  const queue = sk.sk_receive_queue
  for (let skb = __skb_dequeue(k, queue); skb !== null; skb = __skb_dequeue(k, queue)) {
    if (state === TCP_LISTEN && skb.sk !== null) unix_release_sock(k, skb.sk, true)
    kfree_skb(k, skb)
  }
  if (dentry !== null) {
    dput(k, dentry)
    mntput(k, mnt)
  }
  sock_put(k, sk)
})

/** The peer of a connection sees its end, or that what it sent was never read. */
function leave(k: Kernel, sk: sock, peer: sock, embrion: boolean): void {
  if (sk.sk_type === SOCK_STREAM || sk.sk_type === SOCK_SEQPACKET) {
    peer.sk_shutdown = SHUTDOWN_MASK
    if (embrion || !skb_queue_empty(k, sk.sk_receive_queue)) peer.sk_err = ECONNRESET
    sk_state_change(k, peer)
  }
  sock_put(k, peer)
}

/** @returns 0 @see net/unix/af_unix.c:unix_release */
export const unix_release = kfunc(FILE, function unix_release(k, sock: socket): number {
  const { sk } = sock
  if (sk === null) return 0
  unix_release_sock(k, sk, false)
  sock.sk = null
  return 0
})
