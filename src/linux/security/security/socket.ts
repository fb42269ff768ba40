/** Hooks of sockets: what may be done with them, and the blobs that travel with `struct sock`. @see security/security.c */

import type { msghdr, request_sock, sk_buff, sock, socket } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'
import { kfree } from '../../mm/slab.ts'
import { lsm_sock_alloc } from './blob.ts'
import { call_void_hook, intHook, voidHook, call_int_hook } from './call.ts'

const FILE = 'security/security.c'

export const security_unix_stream_connect =
  intHook<[sock: sock, other: sock, newsk: sock]>('unix_stream_connect')
export const security_unix_may_send = intHook<[sock: socket, other: socket]>('unix_may_send')
export const security_socket_create =
  intHook<[family: number, type: number, protocol: number, kern: number]>('socket_create')
export const security_socket_post_create =
  intHook<[sock: socket, family: number, type: number, protocol: number, kern: number]>('socket_post_create')
export const security_socket_socketpair = intHook<[socka: socket, sockb: socket]>('socket_socketpair')
/** `address` is the kernel's copy of the `struct sockaddr`. */
export const security_socket_bind = intHook<[sock: socket, address: unknown, addrlen: number]>('socket_bind')
export const security_socket_connect =
  intHook<[sock: socket, address: unknown, addrlen: number]>('socket_connect')
export const security_socket_listen = intHook<[sock: socket, backlog: number]>('socket_listen')
export const security_socket_accept = intHook<[sock: socket, newsock: socket]>('socket_accept')
export const security_socket_sendmsg = intHook<[sock: socket, msg: msghdr, size: number]>('socket_sendmsg')
/**
 * May this message be received? Asked before any protocol code runs: `msg_name` is not filled yet.
 * @returns 0, or a negative errno which the caller of recv(2) gets, the data staying in the queue
 * @see security/security.c:security_socket_recvmsg
 * @remarks a positive answer is not caught here, nor is it in the kernel: the caller takes it for a byte count.
 */
export const security_socket_recvmsg =
  intHook<[sock: socket, msg: msghdr, size: number, flags: number]>('socket_recvmsg')
export const security_socket_getsockname = intHook<[sock: socket]>('socket_getsockname')
export const security_socket_getpeername = intHook<[sock: socket]>('socket_getpeername')
export const security_socket_getsockopt =
  intHook<[sock: socket, level: number, optname: number]>('socket_getsockopt')
export const security_socket_setsockopt =
  intHook<[sock: socket, level: number, optname: number]>('socket_setsockopt')
export const security_socket_shutdown = intHook<[sock: socket, how: number]>('socket_shutdown')

/** @see security/security.c:security_sock_rcv_skb */
export const security_sock_rcv_skb = kfunc(
  FILE,
  function security_sock_rcv_skb(k, sk: sock, skb: sk_buff): number {
    return call_int_hook(k, 'socket_sock_rcv_skb', [sk, skb])
  },
)

/**
 * The modules' blob of a new sock.
 * @returns 0, or -ENOMEM or what a module answers; then the blob is gone again
 * @see security/security.c:security_sk_alloc
 */
export const security_sk_alloc = kfunc(FILE, function security_sk_alloc(k, sk: sock, family: number): number {
  lsm_sock_alloc(k, sk)
  const rc = call_int_hook(k, 'sk_alloc_security', [sk, family])
  if (rc !== 0) security_sk_free(k, sk)
  return rc
})

/** @see security/security.c:security_sk_free */
export const security_sk_free = kfunc(FILE, function security_sk_free(k, sk: sock): void {
  if (sk.sk_security === 0n) return
  call_void_hook(k, 'sk_free_security', [sk])
  kfree(k, sk.sk_security)
  sk.sk_security = 0n
})

/** @see security/security.c:security_sk_clone */
export const security_sk_clone = kfunc(FILE, function security_sk_clone(k, sk: sock, newsk: sock): void {
  call_void_hook(k, 'sk_clone_security', [sk, newsk])
})

/** `parent` is the accepting `struct socket`. */
export const security_sock_graft = voidHook<[sk: sock, parent: socket]>('sock_graft')
export const security_inet_conn_request =
  intHook<[sk: sock, skb: sk_buff, req: request_sock]>('inet_conn_request')
export const security_inet_csk_clone = voidHook<[newsk: sock, req: request_sock]>('inet_csk_clone')
export const security_inet_conn_established = voidHook<[sk: sock, skb: sk_buff]>('inet_conn_established')
export const security_req_classify_flow = voidHook<[req: request_sock, flic: unknown]>('req_classify_flow')

/** @see security/security.c:security_sk_classify_flow */
export const security_sk_classify_flow = kfunc(
  FILE,
  function security_sk_classify_flow(k, sk: sock, flic: unknown): void {
    call_void_hook(k, 'sk_getsecid', [sk, flic])
  },
)
