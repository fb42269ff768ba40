/**
 * Sockets: from a descriptor to `struct file`, `struct socket` and `struct sock`, and what a sock says of itself.
 *
 * A pointer from a hash table is first only a `struct sock_common`: {@link sock_kind} tells by `skc_state` whether a
 * request_sock, a timewait_sock or a full sock surrounds it, before anything beyond is read.
 */

import { ntohs } from '../base/u32.ts'
import { toVa } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each } from '../structures/list.ts'
import { AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX } from '../abi/socket.ts'
import {
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_STATE_NAMES,
  TCP_TIME_WAIT,
} from '../abi/tcp_states.ts'
import { file_inode, for_each_file, S_ISSOCK } from './fs.ts'
import { in6_groups, ipv4_text, ipv6_text } from './inet-address.ts'

export { AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX }
export { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_NEW_SYN_RECV, TCP_TIME_WAIT }

/** Name of a TCP state without its `TCP_`; the number of one that does not exist. */
export function tcp_state_name(state: number): string {
  return TCP_STATE_NAMES[state] || String(state)
}

/** Names as crash's `net -s` has them; `SECURITY/KEY` and `NETLINK/ROUTE` share their numbers. */
const FAMILIES = new Map([
  [0, 'UNSPEC'],
  [1, 'UNIX'],
  [2, 'INET'],
  [3, 'AX25'],
  [4, 'IPX'],
  [5, 'APPLETALK'],
  [6, 'NETROM'],
  [7, 'BRIDGE'],
  [8, 'ATMPVC'],
  [9, 'X25'],
  [10, 'INET6'],
  [11, 'ROSE'],
  [12, 'DECnet'],
  [13, 'NETBEUI'],
  [14, 'SECURITY/KEY'],
  [16, 'NETLINK/ROUTE'],
  [17, 'PACKET'],
  [18, 'ASH'],
  [19, 'ECONET'],
  [20, 'ATMSVC'],
  [22, 'SNA'],
  [23, 'IRDA'],
  [24, 'PPPOX'],
])
/** @see include/linux/net.h:enum sock_type */
const TYPES = new Map([
  [1, 'STREAM'],
  [2, 'DGRAM'],
  [3, 'RAW'],
  [4, 'RDM'],
  [5, 'SEQPACKET'],
  [10, 'PACKET'],
])

export const family_name = (family: number): string => FAMILIES.get(family) ?? String(family)
export const sock_type_name = (type: number): string => TYPES.get(type) ?? String(type)

/** A socket an open descriptor refers to. */
export interface OpenSocket {
  readonly fd: number
  /** `struct file *` */
  readonly file: StructRef
  /** `struct socket *` */
  readonly socket: StructRef
  /** `struct sock *`; null before it is grafted or after release */
  readonly sk: StructRef | null
}

/** `struct socket *` of a socket's inode. @see include/net/sock.h:SOCKET_I */
export function SOCKET_I(inode: StructRef): StructRef {
  return inode.$containerOf('socket_alloc', 'vfs_inode').$inside('socket')
}

/** `struct inode *` of a socket that has one around it. @see include/net/sock.h:SOCK_INODE */
export function SOCK_INODE(socket: StructRef): StructRef {
  return socket.$containerOf('socket_alloc', 'socket').$inside('vfs_inode')
}

/** `struct socket *` of an open file, undefined when the file is none. @see net/socket.c:sock_from_file */
export function sock_from_file(file: StructRef): StructRef | undefined {
  const inode = file_inode(file)
  return inode !== null && S_ISSOCK(inode) ? SOCKET_I(inode) : undefined
}

/**
 * The sockets among a task's open files, by descriptor.
 *
 * @throws FaultError when a file, or the table itself, cannot be read
 */
export function* for_each_socket(task: StructRef): Generator<OpenSocket> {
  for (const { fd, file } of for_each_file(task)) {
    const socket = sock_from_file(file)
    if (socket !== undefined) yield { fd, file, socket, sk: socket.$ref('sk') }
  }
}

/** What surrounds a sock_common. @see include/net/sock.h:sk_fullsock */
export type SockKind = 'full' | 'request' | 'timewait'

/** Tell by `skc_state` alone. Only for socks that TCP hashed: other protocols use the field their own way. */
export function sock_kind(sk: StructRef): SockKind {
  const state = Number(sk.$int(common(sk, 'skc_state')))
  return state === TCP_NEW_SYN_RECV ? 'request' : state === TCP_TIME_WAIT ? 'timewait' : 'full'
}

/** Path of a `sock_common` member inside whatever struct the reference is of. */
function common(sk: StructRef, member: string): string {
  for (const path of [member, `__sk_common.${member}`, `__req_common.${member}`, `__tw_common.${member}`]) {
    if (sk.$has(path)) return path
  }
  return `sk.__sk_common.${member}`
}

/** The `struct sock_common` at the head of any kind of sock. */
export function sock_common(sk: StructRef): StructRef {
  return sk.$type.name === 'sock_common' ? sk : sk.$cast('sock_common')
}

/** One end of an internet connection; ports in host order. */
export interface InetEnd {
  readonly addr: string
  readonly port: number
}

/** Addresses of a sock of family INET or INET6. */
export interface InetAddresses {
  readonly family: number
  readonly local: InetEnd
  readonly remote: InetEnd
}

/**
 * Both ends of an internet sock, request_sock or timewait_sock: they have them at the same offsets.
 *
 * @returns undefined for other families
 */
export function inet_addresses(sk: StructRef): InetAddresses | undefined {
  const skc = sock_common(sk)
  const family = Number(skc.$int('skc_family'))
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const v6 = family === AF_INET6
  const text = (v4: string, member: string): string =>
    v6 ? ipv6_text(in6_groups(sk.$mem, skc.$vaOf(member))) : ipv4_text(Number(skc.$int(v4)) >>> 0)
  return {
    family,
    local: { addr: text('skc_rcv_saddr', 'skc_v6_rcv_saddr'), port: Number(skc.$int('skc_num')) },
    remote: { addr: text('skc_daddr', 'skc_v6_daddr'), port: ntohs(Number(skc.$int('skc_dport'))) },
  }
}

/** `[addr]:port` for IPv6, `addr:port` for IPv4. */
export function inet_end_text({ addr, port }: InetEnd): string {
  return addr.includes(':') ? `[${addr}]:${port}` : `${addr}:${port}`
}

/** The buffers waiting in a `struct sk_buff_head`, oldest first. @see include/linux/skbuff.h:skb_queue_walk */
export function* skb_queue_walk(queue: StructRef): Generator<StructRef> {
  const { $types: types, $mem: mem } = queue
  const type = types.struct('sk_buff')
  for (const va of list_for_each(mem, queue.$va)) yield types.refTo(type, mem, va)
}

/** Bytes between `copied_seq` and `rcv_nxt` and the like are protocol matters; this sums the queue's buffers. */
export function skb_queue_bytes(queue: StructRef): number {
  let bytes = 0
  for (const skb of skb_queue_walk(queue)) bytes += Number(skb.$int('len'))
  return bytes
}

/** What a full sock says of itself. */
export interface SockSummary {
  readonly sk: bigint
  readonly family: string
  readonly type: string
  readonly protocol: number
  /** TCP's name for the state; UNIX and UDP use some of the same numbers */
  readonly state: string
  readonly local: InetEnd | undefined
  readonly remote: InetEnd | undefined
  /** bytes received and not read by the program */
  readonly receiveBytes: number
  /** buffers in the receive queue */
  readonly receiveBuffers: number
  /** bytes the program wrote that are not sent or not acknowledged */
  readonly sendBytes: number
  /** `sk_err`, positive errno */
  readonly error: number
}

/** Describe a full sock. @throws FaultError */
export function sock_summary(sk: StructRef): SockSummary {
  const sock = sk.$type.name === 'sock' ? sk : sk.$cast('sock')
  const addresses = inet_addresses(sock)
  const queue = sock.$inside('sk_receive_queue')
  return {
    sk: sk.$addr,
    family: family_name(Number(sock.$int('__sk_common.skc_family'))),
    type: sock_type_name(Number(sock.$int('sk_type'))),
    protocol: Number(sock.$int('sk_protocol')),
    state: tcp_state_name(Number(sock.$int('__sk_common.skc_state'))),
    local: addresses?.local,
    remote: addresses?.remote,
    receiveBytes: skb_queue_bytes(queue),
    receiveBuffers: Number(queue.$int('qlen')),
    sendBytes: Number(sock.$int('sk_wmem_queued')),
    error: Number(sock.$int('sk_err')),
  }
}

/** The task-side owner of a sock, when it has one: its socket, file and inode number. */
export function sock_owner(
  sk: StructRef,
): { socket: StructRef; file: StructRef | null; ino: bigint } | undefined {
  const sock = sk.$type.name === 'sock' ? sk : sk.$cast('sock')
  const socket = sock.$ref('sk_socket')
  if (socket === null) return undefined
  const file = socket.$ref('file')
  // a socket made inside the kernel (sock_create_lite) has no file but still lies in a socket_alloc
  return { socket, file, ino: SOCK_INODE(socket).$int('i_ino') }
}

/** A UNIX socket's name and peer. */
export interface UnixNames {
  /** path, `@name` in the abstract namespace, empty when it is not bound */
  readonly name: string
  /** `struct sock *` at the other end */
  readonly peer: StructRef | null
  /** connections waiting to be accepted */
  readonly backlog: number
}

/** @param sk `struct sock *` of family UNIX @see net/unix/af_unix.c:unix_seq_show */
export function unix_names(sk: StructRef): UnixNames {
  const u = sk.$cast('unix_sock')
  const address = u.$ref('addr')
  return {
    name: address === null ? '' : unix_address_text(address),
    peer: u.$ref('peer'),
    backlog: Number(u.$int('sk.sk_receive_queue.qlen')),
  }
}

/** `struct unix_address`: `len` counts the family's two bytes and the path's NUL. */
function unix_address_text(address: StructRef): string {
  const length = Math.min(Math.max(0, Number(address.$int('len')) - 2), 108)
  const bytes = Buffer.from(address.$mem.read(address.$vaOf('name') + 2, length))
  if (bytes[0] === 0) return `@${bytes.subarray(1).toString('latin1')}`
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end < 0 ? undefined : end).toString('latin1')
}

/** Both ends as `net -s` reads them: address and port kept apart from what they mean for the family. */
export function inet_ports(sk: StructRef): { sport: number; dport: number } {
  const inet = sk.$cast('inet_sock')
  return {
    sport: ntohs(Number(inet.$int('inet_sport'))),
    dport: ntohs(Number(inet.$int('sk.__sk_common.skc_dport'))),
  }
}

/** Address of a function pointer member such as `sk_data_ready`. */
export function callback(sk: StructRef, member: string): number {
  return toVa(sk.$int(member), sk.$mem.wordSize)
}
