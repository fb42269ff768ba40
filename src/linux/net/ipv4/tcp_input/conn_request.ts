/** A SYN for a listener: a request is made, hashed and answered. Nothing goes on the accept queue yet. */

import { from } from '../../../../btf/ref.ts'
import type {
  dst_entry,
  net,
  request_sock,
  request_sock_ops,
  sk_buff,
  sock,
  tcp_options_received,
  tcp_request_sock,
  tcp_request_sock_ops,
} from '../../../../btf/vmlinux.ts'
import { ntohs } from '../../../../base/u32.ts'
import { NO_QUEUE_MAPPING } from '../../../../abi/sock.ts'
import { TCP_NEW_SYN_RECV } from '../../../../abi/tcp_states.ts'
import { TCP_TIMEOUT_INIT } from '../../../../abi/tcp.ts'
import { deref } from '../../../deref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { kmem_cache_alloc } from '../../../mm/slub.ts'
import { refcount_set } from '../../../lib/refcount.ts'
import { dst_release } from '../../core/dst.ts'
import type { SeqAndTsOff } from '../../core/secure_seq.ts'
import {
  TCP_SKB_CB,
  inet_csk,
  inet_reqsk,
  inet_rsk,
  req_to_sk,
  tcp_hdr,
  tcp_rsk,
  tcp_sk,
} from '../../../include/net/casts.ts'
import {
  net_tx_rndhash,
  sk_acceptq_is_full,
  sk_node_init,
  sock_hold,
  sock_net,
} from '../../../include/net/sock.ts'
import { reqsk_free, reqsk_put, reqsk_queue_len } from '../../../include/net/request_sock.ts'
import { NET_INC_STATS } from '../../../include/net/tcp.ts'
import { inet_csk_reqsk_queue_hash_add } from '../inet_connection_sock/listen.ts'
import { tcp_openreq_init_rwin } from '../tcp_minisocks/openreq.ts'
import { tcp_parse_options } from './options.ts'

const FILE = 'net/ipv4/tcp_input.c'

/**
 * A request of a listener; it holds the listener.
 *
 * @param ops `struct request_sock_ops *`
 * @see net/ipv4/tcp_input.c:inet_reqsk_alloc
 */
export const inet_reqsk_alloc = kfunc(
  FILE,
  function inet_reqsk_alloc(k, ops: request_sock_ops, listener: sock): request_sock {
    const req = reqsk_alloc(k, ops, listener)
    const ireq = inet_rsk(k, req)
    ireq.ireq_opt = null
    ireq.ir_cookie.counter = 0n
    ireq.ireq_state = TCP_NEW_SYN_RECV
    ireq.ireq_net = sock_net(listener)
    ireq.ireq_family = listener.sk_family
    req.timeout = TCP_TIMEOUT_INIT
    return req
  },
)

/** @see include/net/request_sock.h:reqsk_alloc */
function reqsk_alloc(k: Kernel, ops: request_sock_ops, listener: sock): request_sock {
  const req = inet_reqsk(k, kmem_cache_alloc(k, deref(ops.slab)))
  const sk = req_to_sk(k, req)
  sock_hold(listener)
  req.rsk_listener = listener
  req.rsk_ops = ops
  sk.sk_prot = deref(listener.sk_prot)
  sk_node_init(k, sk.sk_node.$va)
  sk.sk_tx_queue_mapping = NO_QUEUE_MAPPING
  req.saved_syn = null
  req.sk = null
  req.num_timeout = 0
  req.num_retrans = 0
  refcount_set(req.rsk_refcnt, 0)
  return req
}

/** What the SYN says, into the request. @see net/ipv4/tcp_input.c:tcp_openreq_init */
function tcp_openreq_init(
  k: Kernel,
  req: request_sock,
  rx: tcp_options_received,
  skb: sk_buff,
  sk: sock,
): void {
  const ireq = inet_rsk(k, req)
  const treq = tcp_rsk(k, req)
  const cb = TCP_SKB_CB(k, skb)
  const th = tcp_hdr(k, skb)
  req.rsk_rcv_wnd = 0
  treq.rcv_isn = from(cb, 'seq')
  treq.rcv_nxt = from(cb, 'seq').map((seq) => (seq + 1) >>> 0)
  treq.snt_synack = 0n
  treq.last_oow_ack_time = 0
  req.mss = from(rx, 'mss_clamp')
  req.ts_recent = rx.saw_tstamp === 1 ? from(rx, 'rcv_tsval') : 0
  ireq.tstamp_ok = rx.tstamp_ok
  ireq.sack_ok = rx.sack_ok
  ireq.snd_wscale = rx.snd_wscale
  ireq.wscale_ok = rx.wscale_ok
  ireq.acked = 0
  ireq.ecn_ok = 0
  ireq.smc_ok = 0
  ireq.ir_rmt_port = from(th, 'source')
  ireq.ir_num = from(th, 'dest').map(ntohs)
  ireq.ir_mark = skb.mark !== 0 && sock_net(sk).ipv4.sysctl_tcp_fwmark_accept !== 0 ? skb.mark : sk.sk_mark
}

type RouteReq = (k: Kernel, sk: sock, skb: sk_buff, req: request_sock) => dst_entry | null
type InitSeqAndTsOff = (k: Kernel, skb: sk_buff) => SeqAndTsOff
type InitSeq = (k: Kernel, skb: sk_buff) => number
type InitTsOff = (k: Kernel, net: net, skb: sk_buff) => number
/** First sequence number and clock offset, of one function or, before 6.1.190, of two. */
function init_sequence(
  k: Kernel,
  af_ops: tcp_request_sock_ops,
  skb: sk_buff,
  treq: tcp_request_sock,
  timestamps: boolean,
): void {
  if (af_ops.$has('init_seq_and_ts_off')) {
    const st = k.indirect<InitSeqAndTsOff>(af_ops.init_seq_and_ts_off)(k, skb)
    if (timestamps) treq.ts_off = st.ts_off
    treq.snt_isn = st.seq
    return
  }
  if (timestamps) {
    const net = sock_net(k.ref('sock', treq))
    treq.ts_off = k.indirect<InitTsOff>(af_ops.$int('init_ts_off'))(k, net, skb)
  }
  treq.snt_isn = k.indirect<InitSeq>(af_ops.$int('init_seq'))(k, skb)
}

type SendSynack = (k: Kernel, sk: sock, dst: dst_entry | null, req: request_sock) => number

/**
 * Make a request of a SYN, hash it with its timer and send the SYN-ACK.
 *
 * @param sk `struct sock *`, the listener
 * @returns 0 whatever happened: a SYN is never answered with a RST here
 * @see net/ipv4/tcp_input.c:tcp_conn_request
 * @remarks no SYN cookies: a full request queue drops the SYN; no Fast Open, no TCP_SAVE_SYN
 */
export const tcp_conn_request = kfunc(
  FILE,
  function tcp_conn_request(
    k,
    rsk_ops: request_sock_ops,
    af_ops: tcp_request_sock_ops,
    sk: sock,
    skb: sk_buff,
  ): number {
    const tp = tcp_sk(k, sk)
    const queue = inet_csk(k, sk).icsk_accept_queue
    const drop = (): number => {
      NET_INC_STATS(k, sk, 'LINUX_MIB_LISTENDROPS')
      return 0
    }
    if (reqsk_queue_len(queue) > sk.sk_max_ack_backlog) {
      NET_INC_STATS(k, sk, 'LINUX_MIB_TCPREQQFULLDROP')
      return drop()
    }
    if (sk_acceptq_is_full(sk)) {
      NET_INC_STATS(k, sk, 'LINUX_MIB_LISTENOVERFLOWS')
      return drop()
    }
    const req = inet_reqsk_alloc(k, rsk_ops, sk)
    const treq = tcp_rsk(k, req)
    const ireq = inet_rsk(k, req)
    req.syncookie = 0
    treq.af_specific = af_ops
    treq.ts_off = 0
    treq.is_mptcp = 0
    treq.drop_req = 0
    const options = k.local('tcp_options_received')
    options.mss_clamp = af_ops.mss_clamp
    options.user_mss = tp.rx_opt.user_mss
    tcp_parse_options(k, skb, options, false)
    options.tstamp_ok = options.saw_tstamp
    tcp_openreq_init(k, req, options, skb, sk)
    ireq.no_srccheck = 0
    ireq.ir_iif = sk.sk_bound_dev_if
    const dst = k.indirect<RouteReq>(af_ops.route_req)(k, sk, skb, req)
    if (dst === null) {
      reqsk_free(k, req)
      return drop()
    }
    init_sequence(k, af_ops, skb, treq, options.tstamp_ok === 1)
    treq.txhash = net_tx_rndhash(k)
    treq.syn_tos = TCP_SKB_CB(k, skb).ip_dsfield
    tcp_openreq_init_rwin(k, req, sk, dst)
    treq.tfo_listener = 0
    if (!inet_csk_reqsk_queue_hash_add(k, sk, req)) {
      reqsk_free(k, req)
      dst_release(k, dst)
      return 0
    }
    k.indirect<SendSynack>(af_ops.send_synack)(k, sk, dst, req)
    reqsk_put(k, req)
    return 0
  },
  { locals: 24 },
)
