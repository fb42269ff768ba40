/** socket() and its end for AF_INET: which protocol, a sock with IPv4's defaults. */

import type { inet_protosw, net, proto, proto_ops, sock, socket } from '../../../../btf/vmlinux.ts'
import { htons } from '../../../../base/u32.ts'
import { EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from '../../../../abi/errno.ts'
import { IPPROTO_IP } from '../../../../abi/in.ts'
import { INET_PROTOSW_ICSK, INET_PROTOSW_REUSE, SK_CAN_REUSE } from '../../../../abi/sock.ts'
import { PF_INET, SOCK_MAX, SOCK_RAW, SOCK_SUPPORT_ZC, SS_UNCONNECTED } from '../../../../abi/socket.ts'
import { INIT_LIST_HEAD, list_add_tail, list_for_each_entry } from '../../../../structures/list.ts'
import { toVa, type Va } from '../../../../base/addr.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { dst_release } from '../../core/dst.ts'
import { __skb_queue_purge } from '../../core/skbuff.ts'
import { sk_alloc, sk_common_release, sk_mem_reclaim_final, sock_init_data } from '../../core/sock.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import { sk_prot } from '../../../include/net/sock.ts'

const FILE = 'net/ipv4/af_inet.c'

/** The list of protocols of a socket type. */
const inetsw = (k: Kernel, type: number): Va =>
  toVa(k.sym('inetsw'), k.mem.wordSize) + type * 2 * k.mem.wordSize

export function init_inetsw(k: Kernel): void {
  for (let type = 0; type < SOCK_MAX; type++) INIT_LIST_HEAD(k.mem, inetsw(k, type))
}

/** @see net/ipv4/af_inet.c:inet_register_protosw */
export const inet_register_protosw = kfunc(FILE, function inet_register_protosw(k, p: inet_protosw): void {
  list_add_tail(k.mem, p.list.$va, inetsw(k, p.type))
})

/** An entry of `inetsw_array`, filled and registered. */
export function addProtosw(
  k: Kernel,
  index: number,
  entry: { type: number; protocol: number; prot: proto; ops: proto_ops; flags: number },
): void {
  const p = k.global('inetsw_array', 'inet_protosw').$index(index)
  p.type = entry.type
  p.protocol = entry.protocol
  p.prot = entry.prot
  p.ops = entry.ops
  p.flags = entry.flags
  inet_register_protosw(k, p)
}

/** The entry for a type and protocol: 0 asks for the type's first. */
function findProtosw(k: Kernel, type: number, protocol: number): inet_protosw | number {
  for (const p of list_for_each_entry(k.types, k.mem, inetsw(k, type), 'inet_protosw', 'list')) {
    if (protocol === p.protocol || protocol === IPPROTO_IP || p.protocol === IPPROTO_IP) return p
  }
  return type === 0 ? -ESOCKTNOSUPPORT : -EPROTONOSUPPORT
}

/**
 * @param sock `struct socket *`, type set
 * @returns 0 or a negative error number
 * @see net/ipv4/af_inet.c:inet_create
 */
export const inet_create = kfunc(
  FILE,
  function inet_create(k, net: net, sock: socket, protocol: number, kern: number): number {
    sock.state = SS_UNCONNECTED
    const answer = findProtosw(k, sock.type, protocol)
    if (typeof answer === 'number') return answer
    if (sock.type === SOCK_RAW && kern === 0 && deref(k.current.cred).euid.val !== 0) return -EPERM
    sock.ops = answer.ops
    const prot = deref(answer.prot)
    const { flags } = answer
    const number = protocol === IPPROTO_IP ? answer.protocol : protocol
    const sk = sk_alloc(k, net, PF_INET, prot, kern !== 0)
    if ((flags & INET_PROTOSW_REUSE) !== 0) sk.sk_reuse = SK_CAN_REUSE
    initInet(k, sk, sock, number, (flags & INET_PROTOSW_ICSK) !== 0)
    if (sock.type === SOCK_RAW) {
      sk.sk_num = number
      inet_sk(k, sk).inet_sport = htons(number)
    }
    return sk_prot(sk).init === 0n ? 0 : initProtocol(k, sk)
  },
)

/** IPv4's defaults. */
function initInet(k: Kernel, sk: sock, sock: socket, protocol: number, icsk: boolean): void {
  const inet = inet_sk(k, sk)
  const net = deref(sk.sk_net)
  inet.is_icsk = icsk ? 1 : 0
  if (icsk) sock.flags = sock.flags | BigInt(1 << SOCK_SUPPORT_ZC)
  inet.nodefrag = 0
  inet.pmtudisc = net.ipv4.sysctl_ip_no_pmtu_disc !== 0 ? 0 : 1
  inet.inet_id.counter = 0
  sock_init_data(k, sock, sk)
  sk.sk_destruct = k.text(inet_sock_destruct)
  sk.sk_protocol = protocol
  sk.sk_backlog_rcv = sk_prot(sk).backlog_rcv
  sk.sk_txrehash = net.core.sysctl_txrehash
  inet.uc_ttl = -1
  inet.mc_loop = 1
  inet.mc_ttl = 1
  inet.mc_all = 1
  inet.mc_index = 0
  inet.mc_list = null
  inet.rcv_tos = 0
}

function initProtocol(k: Kernel, sk: sock): number {
  const err = k.indirect<(k: Kernel, sk: sock) => number>(sk_prot(sk).init)(k, sk)
  if (err !== 0) sk_common_release(k, sk)
  return err
}

/** The last of a sock: what it still holds. @see net/ipv4/af_inet.c:inet_sock_destruct */
export const inet_sock_destruct = kfunc(FILE, function inet_sock_destruct(k, sk: sock): void {
  __skb_queue_purge(k, sk.sk_receive_queue)
  __skb_queue_purge(k, sk.sk_error_queue)
  sk_mem_reclaim_final(k, sk)
  const dst = sk.sk_dst_cache
  if (dst !== null) dst_release(k, dst)
  const rx = sk.sk_rx_dst
  if (rx !== null) dst_release(k, rx)
})

/**
 * The last descriptor is closed.
 * @returns 0
 * @see net/ipv4/af_inet.c:inet_release
 */
export const inet_release = kfunc(FILE, function inet_release(k, sock: socket): number {
  const sk = sock.sk
  if (sk === null) return 0
  const { close } = sk_prot(sk)
  k.indirect<(k: Kernel, sk: sock, timeout: number) => void>(close)(k, sk, 0)
  sock.sk = null
  return 0
})
