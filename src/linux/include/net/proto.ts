/** The signatures behind `struct proto`, for calls through memory. @see include/net/sock.h:struct proto */

import type { msghdr, sk_buff, sock } from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'
import type { UserPtr } from '../../lib/usercopy.ts'
import type { AcceptError } from '../../net/ipv4/inet_connection_sock/listen.ts'
import type { MaySleep } from '../../sleepable.ts'
import type { Sockaddr } from './proto_ops.ts'

export type ProtoInit = (k: Kernel, sk: sock) => number
/** @param timeout jiffies to linger */
export type ProtoClose = (k: Kernel, sk: sock, timeout: bigint) => MaySleep<void>
export type ProtoConnect = (k: Kernel, sk: sock, addr: Sockaddr, len: number) => number
export type ProtoDisconnect = (k: Kernel, sk: sock, flags: number) => number
export type ProtoAccept = (
  k: Kernel,
  sk: sock,
  flags: number,
  result: AcceptError,
  kern: boolean,
) => MaySleep<sock | null>
export type ProtoShutdown = (k: Kernel, sk: sock, how: number) => void
export type ProtoSendmsg = (k: Kernel, sk: sock, msg: msghdr, size: number) => MaySleep<number>
/** @param addrlen receives the length of `msg_name` */
export type ProtoRecvmsg = (
  k: Kernel,
  sk: sock,
  msg: msghdr,
  len: number,
  flags: number,
  addrlen: { len: number },
) => MaySleep<number>
/** @param port host order; 0 lets the kernel choose. @returns 0, or not when the port is taken */
export type ProtoGetPort = (k: Kernel, sk: sock, port: number) => number
export type ProtoSetsockopt = (
  k: Kernel,
  sk: sock,
  level: number,
  name: number,
  value: UserPtr,
  len: number,
) => MaySleep<number>
export type ProtoGetsockopt = (
  k: Kernel,
  sk: sock,
  level: number,
  name: number,
  value: UserPtr,
  len: UserPtr,
) => MaySleep<number>
export type ProtoBacklogRcv = (k: Kernel, sk: sock, skb: sk_buff) => number
