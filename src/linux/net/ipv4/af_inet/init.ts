/** AF_INET comes up: its protocols, its tables of operations, its place among the families. */

import { IPPROTO_TCP } from '../../../../abi/in.ts'
import { INET_PROTOSW_ICSK, INET_PROTOSW_PERMANENT } from '../../../../abi/sock.ts'
import { PF_INET, SOCK_STREAM } from '../../../../abi/socket.ts'
import { socketMacros } from '../../../include/net/macros.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { alloc_percpu } from '../../../mm/percpu.ts'
import { INIT_LIST_HEAD } from '../../../../structures/list.ts'
import { sock_common_getsockopt, sock_common_setsockopt, sock_no_socketpair } from '../../core/sock.ts'
import { sock_register } from '../../socket.ts'
import { fillOps, registerTcp, tcp_init } from '../tcp_ipv4/tables.ts'
import { tcp_poll } from '../tcp.ts'
import { icmp_init } from '../icmp.ts'
import { addUdpProtosw, registerUdp, udp_init } from '../udp/init.ts'
import {
  inet_accept,
  inet_bind,
  inet_getname,
  inet_listen,
  inet_recvmsg,
  inet_sendmsg,
  inet_shutdown,
  inet_stream_connect,
} from './calls.ts'
import { addProtosw, inet_create, inet_release, init_inetsw } from './create.ts'

/** `inet_stream_ops` */
function initStreamOps(k: Kernel): void {
  const ops = k.global('inet_stream_ops', 'proto_ops')
  ops.family = PF_INET
  fillOps(k, ops, {
    release: inet_release,
    bind: inet_bind,
    connect: inet_stream_connect,
    socketpair: sock_no_socketpair,
    accept: inet_accept,
    getname: inet_getname,
    poll: tcp_poll,
    ioctl: 'inet_ioctl',
    compat_ioctl: 'inet_compat_ioctl',
    gettstamp: 'sock_gettstamp',
    listen: inet_listen,
    shutdown: inet_shutdown,
    setsockopt: sock_common_setsockopt,
    getsockopt: sock_common_getsockopt,
    sendmsg: inet_sendmsg,
    recvmsg: inet_recvmsg,
    mmap: 'tcp_mmap',
    sendpage: 'inet_sendpage',
    splice_read: 'tcp_splice_read',
    splice_eof: 'inet_splice_eof',
    peek_len: 'tcp_peek_len',
    read_sock: 'tcp_read_sock',
    read_skb: 'tcp_read_skb',
    sendpage_locked: 'tcp_sendpage_locked',
    sendmsg_locked: 'tcp_sendmsg_locked',
    set_rcvlowat: 'tcp_set_rcvlowat',
  })
}

/** Before anything of sockets: names of members, lists and per-CPU counters. @see net/core/sock.c:sock_inuse_init_net */
export function net_sock_init(k: Kernel): void {
  socketMacros(k.types)
  INIT_LIST_HEAD(k.mem, k.global('proto_list', 'list_head').$va)
  const { core } = k.global('init_net', 'net')
  core.sysctl_somaxconn = 4096
  core.sysctl_txrehash = 1
  core.prot_inuse = alloc_percpu(k, k.types.has('prot_inuse') ? k.types.sizeof('prot_inuse') : 260)
}

/**
 * @see net/ipv4/af_inet.c:inet_init
 * @remarks raw sockets are not simulated
 */
export const inet_init = kfunc('net/ipv4/af_inet.c', function inet_init(k): number {
  registerTcp(k)
  registerUdp(k)
  const family = k.global('inet_family_ops', 'net_proto_family')
  family.family = PF_INET
  family.create = k.text(inet_create)
  sock_register(k, family)
  init_inetsw(k)
  initStreamOps(k)
  addProtosw(k, 0, {
    type: SOCK_STREAM,
    protocol: IPPROTO_TCP,
    prot: k.global('tcp_prot', 'proto'),
    ops: k.global('inet_stream_ops', 'proto_ops'),
    flags: INET_PROTOSW_PERMANENT | INET_PROTOSW_ICSK,
  })
  addUdpProtosw(k)
  tcp_init(k)
  udp_init(k)
  icmp_init(k)
  return 0
})
