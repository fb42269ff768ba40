/** socket(AF_INET, …) and its end. @see net/ipv4/af_inet.c:inet_create, inet_release */

import type { net, proto, proto_ops, sock, socket } from '../../../../btf/vmlinux.ts'
import { EPROTONOSUPPORT, ESOCKTNOSUPPORT } from '../../../../abi/errno.ts'
import { IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IP_PMTUDISC_WANT } from '../../../../abi/in.ts'
import { PF_INET, SOCK_DGRAM, SOCK_STREAM, SS_UNCONNECTED } from '../../../../abi/socket.ts'
import { inet_sk } from '../../../include/net/casts.ts'
import type { ProtoClose, ProtoInit } from '../../../include/net/proto.ts'
import { sk_prot } from '../../../include/net/sock.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { sleepable } from '../../../sleepable.ts'
import { sk_alloc } from '../../core/sock/alloc.ts'
import { sock_init_data } from '../../core/sock/init.ts'
import { __skb_queue_purge } from '../../core/skbuff.ts'
import { dst_release } from '../../core/dst.ts'
import { sk_mem_reclaim_final } from '../../core/sock/mem.ts'

const FILE = 'net/ipv4/af_inet.c'

/** What a type of socket is made of. @see net/ipv4/af_inet.c:inetsw_array */
interface Protosw {
  readonly type: number
  readonly protocol: number
  readonly prot: string
  readonly ops: string
  readonly isIcsk: boolean
}
const inetsw: readonly Protosw[] = [
  { type: SOCK_STREAM, protocol: IPPROTO_TCP, prot: 'tcp_prot', ops: 'inet_stream_ops', isIcsk: true },
  { type: SOCK_DGRAM, protocol: IPPROTO_UDP, prot: 'udp_prot', ops: 'inet_dgram_ops', isIcsk: false },
]

/** What {@link inet_create} shares with IPv6: the members of `struct inet_sock` a new sock has. */
export function inet_init_sock(k: Kernel, sock: socket, sk: sock, protocol: number, isIcsk: boolean): void {
  const inet = inet_sk(k, sk)
  inet.is_icsk = isIcsk ? 1 : 0
  inet.nodefrag = 0
  inet.pmtudisc = IP_PMTUDISC_WANT
  k.mem.setU16(inet.$vaOf('inet_id'), 0)
  sock_init_data(k, sock, sk)
  sk.sk_destruct = k.text(inet_sock_destruct)
  sk.sk_protocol = protocol
  sk.sk_backlog_rcv = sk_prot(sk).backlog_rcv
  sk.sk_txrehash = 1
  inet.uc_ttl = -1
  inet.mc_loop = 1
  inet.mc_ttl = 1
  inet.mc_all = 1
  inet.mc_index = 0
  inet.mc_list = null
  inet.rcv_tos = 0
}

/** @returns 0, or a negative errno */
export const inet_create = kfunc(
  FILE,
  function inet_create(k: Kernel, net: net, sock: socket, protocol: number, kern: number): number {
    sock.state = SS_UNCONNECTED
    const found = inetsw.find(
      (p) => p.type === sock.type && (protocol === IPPROTO_IP || protocol === p.protocol),
    )
    if (found === undefined) {
      return inetsw.some(({ type }) => type === sock.type) ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT
    }
    sock.ops = k.global(found.ops, 'proto_ops') satisfies proto_ops
    const prot: proto = k.global(found.prot, 'proto')
    const sk = sk_alloc(k, net, PF_INET, prot, kern !== 0)
    inet_init_sock(k, sock, sk, found.protocol, found.isIcsk)
    const { init } = prot
    return init === 0n ? 0 : k.indirect<ProtoInit>(init)(k, sk)
  },
)

/** The last reference is gone: queues and routes go with it. @see net/ipv4/af_inet.c:inet_sock_destruct */
export const inet_sock_destruct = kfunc(FILE, function inet_sock_destruct(k: Kernel, sk: sock): void {
  __skb_queue_purge(k, sk.sk_receive_queue)
  __skb_queue_purge(k, sk.sk_error_queue)
  sk_mem_reclaim_final(k, sk)
  dst_release(k, sk.sk_dst_cache)
  dst_release(k, sk.sk_rx_dst)
})

/** The last descriptor is closed. @see net/ipv4/af_inet.c:inet_release */
export const inet_release = kfunc(FILE, function* inet_release(k: Kernel, sock: socket): Generator<
  unknown,
  number
> {
  const sk = sock.sk
  if (sk === null) return 0
  const timeout = 0n
  const close = k.indirect<ProtoClose>(sk_prot(sk).close)
  yield* sleepable(close(k, sk, timeout))
  sock.sk = null
  return 0
})
