/** UDP comes up: its tables, its operations, a sock's beginning and end. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { ENOPROTOOPT, EINVAL, EFAULT } from '../../../../abi/errno.ts'
import { IPPROTO_UDP } from '../../../../abi/in.ts'
import {
  INET_PROTOSW_PERMANENT,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  SOCK_DEAD,
} from '../../../../abi/sock.ts'
import { PF_INET, SOCK_DGRAM, SOCK_SUPPORT_ZC, SOL_UDP } from '../../../../abi/socket.ts'
import { TCP_CLOSE } from '../../../../abi/tcp_states.ts'
import { toVa } from '../../../../base/addr.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import { sk_prot, sock_set_flag } from '../../../include/net/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { PAGE_SIZE } from '../../../../abi/page.ts'
import {
  lock_sock,
  proto_register,
  release_sock,
  sk_common_release,
  sk_dst_reset,
  sock_common_getsockopt,
  sock_common_setsockopt,
  sock_no_accept,
  sock_no_listen,
  sock_no_mmap,
  sock_no_socketpair,
} from '../../core/sock.ts'
import { getUserInt, putUserInts } from '../../core/sock/options.ts'
import { skb_queue_head_init } from '../../core/skbuff.ts'
import type { UserPtr } from '../../../lib/usercopy.ts'
import {
  inet_bind,
  inet_dgram_connect,
  inet_getname,
  inet_recvmsg,
  inet_sendmsg,
  inet_shutdown,
} from '../af_inet/calls.ts'
import { addProtosw, inet_release, inet_sock_destruct } from '../af_inet/create.ts'
import { ip4_datagram_connect } from '../datagram.ts'
import { inet_add_protocol } from '../protocol.ts'
import { fillOps } from '../tcp_ipv4/tables.ts'
import { udp_lib_hash, udp_lib_unhash, udp_v4_get_port, udp_v4_rehash } from './port.ts'
import { udp_err, udp_rcv, udp_reader_queue } from './rcv.ts'
import { udp_destruct_common, udp_poll, udp_recvmsg } from './recvmsg.ts'
import { udp_sendmsg } from './send.ts'
import { udp_table, udp_table_init } from './table.ts'

const FILE = 'net/ipv4/udp.c'
const UDP_CORK = 1
const UDP_NO_CHECK6_TX = 101
const UDP_NO_CHECK6_RX = 102

/** @see net/ipv4/udp.c:udp_destruct_sock */
export const udp_destruct_sock = kfunc(FILE, function udp_destruct_sock(k, sk: sock): void {
  udp_destruct_common(k, sk)
  inet_sock_destruct(k, sk)
})

/** @returns 0 @see net/ipv4/udp.c:udp_init_sock */
export const udp_init_sock = kfunc(FILE, function udp_init_sock(k, sk: sock): number {
  skb_queue_head_init(udp_reader_queue(k, sk))
  sk.sk_destruct = k.text(udp_destruct_sock)
  const sock = sk.sk_socket
  if (sock !== null) sock.flags = sock.flags | BigInt(1 << SOCK_SUPPORT_ZC)
  return 0
})

/** @see net/ipv4/udp.c:udp_destroy_sock */
export const udp_destroy_sock = kfunc(FILE, function udp_destroy_sock(k, sk: sock): void {
  sock_set_flag(k, sk, SOCK_DEAD)
})

/** @see include/net/udp.h:udp_lib_close */
export const udp_lib_close = kfunc(FILE, function udp_lib_close(k, sk: sock, _timeout: number): void {
  sk_common_release(k, sk)
})

/** No peer any more; what the program did not choose itself is given up. @see net/ipv4/udp.c:__udp_disconnect */
export const __udp_disconnect = kfunc(FILE, function __udp_disconnect(k, sk: sock, _flags: number): number {
  const inet = inet_sk(k, sk)
  sk.sk_state = TCP_CLOSE
  sk.sk_daddr = 0
  inet.inet_dport = 0
  sk.sk_rxhash = 0
  sk.sk_bound_dev_if = 0
  if ((sk.sk_userlocks & SOCK_BINDADDR_LOCK) === 0) {
    sk.sk_rcv_saddr = 0
    inet.inet_saddr = 0
    const { rehash } = sk_prot(sk)
    const keeps = (sk.sk_userlocks & SOCK_BINDPORT_LOCK) !== 0
    if (rehash !== 0n && keeps) k.indirect<(k: Kernel, sk: sock) => void>(rehash)(k, sk)
  }
  if ((sk.sk_userlocks & SOCK_BINDPORT_LOCK) === 0) {
    k.indirect<(k: Kernel, sk: sock) => void>(sk_prot(sk).unhash)(k, sk)
    inet.inet_sport = 0
  }
  sk_dst_reset(k, sk)
  return 0
})

export const udp_disconnect = kfunc(FILE, function udp_disconnect(k, sk: sock, flags: number): number {
  lock_sock(k, sk)
  __udp_disconnect(k, sk, flags)
  release_sock(k, sk)
  return 0
})

/** @see net/ipv4/udp.c:udp_pre_connect */
export const udp_pre_connect = kfunc(
  FILE,
  function udp_pre_connect(_k, _sk: sock, _a: unknown, len: number): number {
    return len < 16 ? -EINVAL : 0
  },
)

/** @see net/ipv4/udp.c:udp_setsockopt @remarks of UDP's own options those about checksums; corking is refused */
export const udp_setsockopt = kfunc(
  FILE,
  function udp_setsockopt(
    k,
    sk: sock,
    level: number,
    optname: number,
    optval: UserPtr,
    optlen: number,
  ): number {
    if (level !== SOL_UDP) return -ENOPROTOOPT
    if (optlen < 4) return -EINVAL
    const value = getUserInt(k, optval)
    if (value === undefined) return -EFAULT
    if (optname === UDP_NO_CHECK6_TX) sk.sk_no_check_tx = value !== 0 ? 1 : 0
    else if (optname === UDP_NO_CHECK6_RX) sk.sk_no_check_rx = value !== 0 ? 1 : 0
    else if (optname !== UDP_CORK || value !== 0) return -ENOPROTOOPT
    return 0
  },
)

/** @see net/ipv4/udp.c:udp_getsockopt */
export const udp_getsockopt = kfunc(
  FILE,
  function udp_getsockopt(
    k,
    sk: sock,
    level: number,
    optname: number,
    optval: UserPtr,
    optlen: UserPtr,
  ): number {
    const values: Readonly<Record<number, number>> = {
      [UDP_CORK]: 0,
      [UDP_NO_CHECK6_TX]: sk.sk_no_check_tx,
      [UDP_NO_CHECK6_RX]: sk.sk_no_check_rx,
    }
    const value = level === SOL_UDP ? values[optname] : undefined
    if (value === undefined) return -ENOPROTOOPT
    const err = putUserInts(k, optval, value)
    return err !== 0 ? err : putUserInts(k, optlen, 4)
  },
)

/** `inet_dgram_ops` */
function initDgramOps(k: Kernel): void {
  const ops = k.global('inet_dgram_ops', 'proto_ops')
  ops.family = PF_INET
  fillOps(k, ops, {
    release: inet_release,
    bind: inet_bind,
    connect: inet_dgram_connect,
    socketpair: sock_no_socketpair,
    accept: sock_no_accept,
    getname: inet_getname,
    poll: udp_poll,
    ioctl: 'inet_ioctl',
    compat_ioctl: 'inet_compat_ioctl',
    gettstamp: 'sock_gettstamp',
    listen: sock_no_listen,
    shutdown: inet_shutdown,
    setsockopt: sock_common_setsockopt,
    getsockopt: sock_common_getsockopt,
    sendmsg: inet_sendmsg,
    recvmsg: inet_recvmsg,
    mmap: sock_no_mmap,
    sendpage: 'inet_sendpage',
    splice_eof: 'inet_splice_eof',
    set_peek_off: 'sk_set_peek_off',
    read_skb: 'udp_read_skb',
  })
}

/** `udp_prot` */
function initProt(k: Kernel): void {
  const prot = k.global('udp_prot', 'proto')
  fillOps(k, prot, {
    close: udp_lib_close,
    pre_connect: udp_pre_connect,
    connect: ip4_datagram_connect,
    disconnect: udp_disconnect,
    ioctl: 'udp_ioctl',
    init: udp_init_sock,
    destroy: udp_destroy_sock,
    setsockopt: udp_setsockopt,
    getsockopt: udp_getsockopt,
    sendmsg: udp_sendmsg,
    recvmsg: udp_recvmsg,
    sendpage: 'udp_sendpage',
    splice_eof: 'udp_splice_eof',
    hash: udp_lib_hash,
    unhash: udp_lib_unhash,
    rehash: udp_v4_rehash,
    get_port: udp_v4_get_port,
    put_port: udp_lib_unhash,
    psock_update_sk_prot: 'udp_bpf_update_proto',
    memory_allocated: 'udp_memory_allocated',
    per_cpu_fw_alloc: 'udp_memory_per_cpu_fw_alloc',
    sysctl_mem: 'sysctl_udp_mem',
    diag_destroy: 'udp_abort',
  })
  prot.sysctl_wmem_offset = k.types.offsetof('net', 'ipv4.sysctl_udp_wmem_min')
  prot.sysctl_rmem_offset = k.types.offsetof('net', 'ipv4.sysctl_udp_rmem_min')
  prot.h.udp_table = udp_table(k)
  prot.inuse_idx = 2
  prot.obj_size = k.types.sizeof('udp_sock')
  prot.name.$setString('UDP')
  proto_register(k, prot)
}

/** The limits of the protocol's memory, in pages. @see net/ipv4/udp.c:udp_init */
export const udp_init = kfunc(FILE, function udp_init(k): void {
  udp_table_init(k, udp_table(k))
  const limit = Math.max(Math.floor(k.mem.sizeBytes / PAGE_SIZE / 8), 128)
  const at = toVa(k.sym('sysctl_udp_mem'), k.mem.wordSize)
  const pages = [Math.floor((limit / 4) * 3), limit, Math.floor((limit / 4) * 3) * 2]
  pages.forEach((n, i) => k.mem.setWord(at + i * k.mem.wordSize, BigInt(n)))
  const { ipv4 } = k.global('init_net', 'net')
  ipv4.sysctl_udp_wmem_min = PAGE_SIZE
  ipv4.sysctl_udp_rmem_min = PAGE_SIZE
  ipv4.sysctl_udp_early_demux = 1
  ipv4.sysctl_ip_early_demux = 1
})

/** UDP's part of inet_init(): its proto, its tables, its place among IP's protocols. */
export function registerUdp(k: Kernel): void {
  initProt(k)
  initDgramOps(k)
  const protocol = k.global('udp_protocol', 'net_protocol')
  protocol.handler = k.text(udp_rcv)
  protocol.err_handler = k.text(udp_err)
  protocol.no_policy = 1
  inet_add_protocol(k, protocol, IPPROTO_UDP)
}

/** SOCK_DGRAM of AF_INET is UDP: the second of `inetsw_array`. */
export const addUdpProtosw = (k: Kernel): void =>
  addProtosw(k, 1, {
    type: SOCK_DGRAM,
    protocol: IPPROTO_UDP,
    prot: k.global('udp_prot', 'proto'),
    ops: k.global('inet_dgram_ops', 'proto_ops'),
    flags: INET_PROTOSW_PERMANENT,
  })
