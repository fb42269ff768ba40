/** The data calls of IPv6's sockets, and the operations of its stream sockets: IPv4's but for a few. */

import type { msghdr, socket } from '../../../../btf/vmlinux.ts'
import { EAGAIN } from '../../../../abi/errno.ts'
import { AF_INET6 } from '../../../../abi/socket.ts'
import { deref } from '../../../deref.ts'
import type { ProtoSendmsg } from '../../../include/net/proto.ts'
import { sk_prot } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { sleepable, type MaySleep } from '../../../sleepable.ts'
import { fillOps } from '../../ipv4/tcp_ipv4.ts'
import { inet_autobind } from '../../ipv4/af_inet/calls.ts'
import { inet6_release } from './create.ts'
import { inet6_bind, inet6_getname } from './names.ts'

const FILE = 'net/ipv6/af_inet6.c'
type Call = Generator<unknown, number>
type Recvmsg = (
  ...args: [...Parameters<ProtoSendmsg>, flags: number, addrlen: { len: number }]
) => MaySleep<number>

/** A datagram socket gets a port with its first message. */
export const inet6_sendmsg = kfunc(
  FILE,
  function* inet6_sendmsg(k: Kernel, sock: socket, msg: msghdr, size: number): Call {
    const sk = deref(sock.sk)
    if (sk.sk_num === 0 && sk_prot(sk).no_autobind === 0 && inet_autobind(k, sk) !== 0) return -EAGAIN
    return yield* sleepable(k.indirect<ProtoSendmsg>(sk_prot(sk).sendmsg)(k, sk, msg, size))
  },
)

export const inet6_recvmsg = kfunc(
  FILE,
  function* inet6_recvmsg(k: Kernel, sock: socket, msg: msghdr, size: number, flags: number): Call {
    const sk = deref(sock.sk)
    const addrlen = { len: 0 }
    const got = yield* sleepable(k.indirect<Recvmsg>(sk_prot(sk).recvmsg)(k, sk, msg, size, flags, addrlen))
    if (got >= 0) msg.msg_namelen = addrlen.len
    return got
  },
)

/**
 * Operations of IPv6's sockets. Listening, accepting, polling and shutting down know no addresses, so they are IPv4's own
 * functions.
 * @param name which `struct proto_ops`
 * @param like IPv4's, filled
 */
export function init_inet6_ops(k: Kernel, name: string, like: string): void {
  const ops = k.global(name, 'proto_ops')
  k.mem.copy(ops.$va, k.global(like, 'proto_ops').$va, ops.$size)
  ops.family = AF_INET6
  fillOps(k, ops, {
    release: inet6_release,
    bind: inet6_bind,
    getname: inet6_getname,
    sendmsg: inet6_sendmsg,
    recvmsg: inet6_recvmsg,
    ioctl: 'inet6_ioctl',
    compat_ioctl: 'inet6_compat_ioctl',
  })
}
