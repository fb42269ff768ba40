/**
 * The signatures behind `struct proto_ops` and `struct net_proto_family`, for calls through memory. A socket
 * address is the kernel's copy of it, in guest memory.
 *
 * @see include/linux/net.h
 */

import type { StructRef } from '../../../btf/ref.ts'
import type { file, msghdr, net, socket } from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'
import type { UserPtr } from '../../lib/usercopy.ts'
import type { MaySleep } from '../../sleepable.ts'

/** `struct sockaddr *`: cast it to the family's own struct. */
export type Sockaddr = StructRef

export type Release = (k: Kernel, sock: socket) => MaySleep<number>
export type Bind = (k: Kernel, sock: socket, addr: Sockaddr, len: number) => MaySleep<number>
export type Connect = (
  k: Kernel,
  sock: socket,
  addr: Sockaddr,
  len: number,
  flags: number,
) => MaySleep<number>
export type Accept = (
  k: Kernel,
  sock: socket,
  newsock: socket,
  flags: number,
  kern: boolean,
) => MaySleep<number>
/** @returns bytes written to `addr`, or a negative errno */
export type Getname = (k: Kernel, sock: socket, addr: Sockaddr, peer: number) => number
/** @param wait the caller's poll table; null to look only. @returns EPOLL bits */
export type PollSocket = (k: Kernel, file: file, sock: socket, wait: StructRef | null) => number
export type Listen = (k: Kernel, sock: socket, backlog: number) => MaySleep<number>
export type Shutdown = (k: Kernel, sock: socket, how: number) => MaySleep<number>
export type Setsockopt = (
  k: Kernel,
  sock: socket,
  level: number,
  name: number,
  value: UserPtr,
  len: number,
) => MaySleep<number>
/** @param len user address of the int that says how much room there is */
export type Getsockopt = (
  k: Kernel,
  sock: socket,
  level: number,
  name: number,
  value: UserPtr,
  len: UserPtr,
) => MaySleep<number>
export type Sendmsg = (k: Kernel, sock: socket, msg: msghdr, size: number) => MaySleep<number>
export type Recvmsg = (k: Kernel, sock: socket, msg: msghdr, size: number, flags: number) => MaySleep<number>
/** `net_proto_family.create` */
export type Create = (k: Kernel, net: net, sock: socket, protocol: number, kern: number) => MaySleep<number>
