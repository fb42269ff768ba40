/** TCP's tables of operations, which lie in the kernel's image and are called through. */

import type { KFunctionInfo } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { IPPROTO_TCP } from '../../../../abi/in.ts'
import { TCP_MSS_DEFAULT } from '../../../../abi/tcp.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_PANIC, SLAB_TYPESAFE_BY_RCU } from '../../../mm/slab_common.ts'
import { kstrdup } from '../../../mm/slab.ts'
import { refcount_set } from '../../../lib/refcount.ts'
import type { StructRef } from '../../../../btf/ref.ts'
import { proto_register } from '../../core/sock.ts'
import { inet_add_protocol } from '../protocol.ts'
import { ip_queue_xmit } from '../ip_output.ts'
import {
  inet_hash,
  inet_hashinfo2_init,
  inet_put_port,
  inet_unhash,
  tcp_hashinfo,
} from '../inet_hashtables.ts'
import { inet_csk_accept, inet_csk_get_port } from '../inet_connection_sock.ts'
import { inet_sk_rebuild_header } from '../af_inet/rebuild.ts'
import {
  tcp_close,
  tcp_disconnect,
  tcp_getsockopt,
  tcp_recvmsg,
  tcp_release_cb,
  tcp_sendmsg,
  tcp_setsockopt,
  tcp_shutdown,
  tcp_stream_memory_free,
} from '../tcp.ts'
import { cubictcp_register } from '../tcp_cubic.ts'
import { tcp_set_keepalive } from '../tcp_timer.ts'
import { tcp_rtx_synack } from '../tcp_output.ts'
import {
  tcp_v4_connect,
  tcp_v4_destroy_sock,
  tcp_v4_init_sock,
  tcp_v4_pre_connect,
  tcp_v4_reqsk_destructor,
} from './active.ts'
import {
  tcp_v4_conn_request,
  tcp_v4_init_seq,
  tcp_v4_init_seq_and_ts_off,
  tcp_v4_init_ts_off,
  tcp_v4_route_req,
  tcp_v4_send_synack,
  tcp_v4_syn_recv_sock,
} from './passive.ts'
import { inet_sk_rx_dst_set, tcp_v4_do_rcv, tcp_v4_rcv } from './rcv.ts'
import { tcp_v4_reqsk_send_ack, tcp_v4_send_check, tcp_v4_send_reset } from './reply.ts'
import { tcp_twsk_unique } from './unique.ts'

type Declared = { readonly kfunc: KFunctionInfo }

/** Fill function pointers; what is not simulated keeps its symbol's address where the image has one. */
export function fillOps(k: Kernel, ops: StructRef, table: Readonly<Record<string, Declared | string>>): void {
  for (const [member, value] of Object.entries(table)) {
    const at = typeof value === 'string' ? k.symbols.get(value) : k.textIfAny(value.kfunc)
    if (at !== undefined && ops.$has(member)) ops.$set(member, at)
  }
}

/** `struct proto tcp_prot` */
function initProt(k: Kernel): void {
  const prot = k.global('tcp_prot', 'proto')
  fillOps(k, prot, {
    close: tcp_close,
    pre_connect: tcp_v4_pre_connect,
    connect: tcp_v4_connect,
    disconnect: tcp_disconnect,
    accept: inet_csk_accept,
    ioctl: 'tcp_ioctl',
    init: tcp_v4_init_sock,
    destroy: tcp_v4_destroy_sock,
    shutdown: tcp_shutdown,
    setsockopt: tcp_setsockopt,
    getsockopt: tcp_getsockopt,
    keepalive: tcp_set_keepalive,
    sendmsg: tcp_sendmsg,
    recvmsg: tcp_recvmsg,
    sendpage: 'tcp_sendpage',
    splice_eof: 'tcp_splice_eof',
    bpf_bypass_getsockopt: 'tcp_bpf_bypass_getsockopt',
    backlog_rcv: tcp_v4_do_rcv,
    release_cb: tcp_release_cb,
    hash: inet_hash,
    unhash: inet_unhash,
    get_port: inet_csk_get_port,
    put_port: inet_put_port,
    psock_update_sk_prot: 'tcp_bpf_update_proto',
    stream_memory_free: tcp_stream_memory_free,
    enter_memory_pressure: 'tcp_enter_memory_pressure',
    leave_memory_pressure: 'tcp_leave_memory_pressure',
    memory_allocated: 'tcp_memory_allocated',
    per_cpu_fw_alloc: 'tcp_memory_per_cpu_fw_alloc',
    sockets_allocated: 'tcp_sockets_allocated',
    memory_pressure: 'tcp_memory_pressure',
    sysctl_mem: 'sysctl_tcp_mem',
    orphan_count: 'tcp_orphan_count',
    rsk_prot: 'tcp_request_sock_ops',
    twsk_prot: 'tcp_timewait_sock_ops',
    diag_destroy: 'tcp_abort',
  })
  prot.sysctl_wmem_offset = k.types.offsetof('net', 'ipv4.sysctl_tcp_wmem')
  prot.sysctl_rmem_offset = k.types.offsetof('net', 'ipv4.sysctl_tcp_rmem')
  prot.max_header = 320
  prot.no_autobind = 1
  prot.inuse_idx = 1
  prot.obj_size = k.types.sizeof('tcp_sock')
  prot.slab_flags = SLAB_TYPESAFE_BY_RCU
  prot.name.$setString('TCP')
  proto_register(k, prot)
}

function initSpecific(k: Kernel): void {
  const ops = k.global('ipv4_specific', 'inet_connection_sock_af_ops')
  fillOps(k, ops, {
    queue_xmit: ip_queue_xmit,
    send_check: tcp_v4_send_check,
    rebuild_header: inet_sk_rebuild_header,
    sk_rx_dst_set: inet_sk_rx_dst_set,
    conn_request: tcp_v4_conn_request,
    syn_recv_sock: tcp_v4_syn_recv_sock,
    addr2sockaddr: 'inet_csk_addr2sockaddr',
    mtu_reduced: 'tcp_v4_mtu_reduced',
  })
  ops.net_header_len = 20
  ops.sockaddr_len = 16
}

/** What requests and TIME_WAIT stubs do, and the caches they come from. */
function initMinisocks(k: Kernel): void {
  const rsk = k.global('tcp_request_sock_ops', 'request_sock_ops')
  fillOps(k, rsk, {
    rtx_syn_ack: tcp_rtx_synack,
    send_ack: tcp_v4_reqsk_send_ack,
    destructor: tcp_v4_reqsk_destructor,
    send_reset: tcp_v4_send_reset,
    syn_ack_timeout: 'tcp_syn_ack_timeout',
  })
  rsk.family = 2
  rsk.obj_size = k.types.sizeof('tcp_request_sock')
  rsk.slab_name = BigInt(kstrdup(k, 'request_sock_TCP'))
  rsk.slab = kmem_cache_create(k, 'request_sock_TCP', rsk.obj_size, {
    flags: SLAB_ACCOUNT | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU,
  })
  const af = k.global('tcp_request_sock_ipv4_ops', 'tcp_request_sock_ops')
  fillOps(k, af, {
    route_req: tcp_v4_route_req,
    ...(af.$has('init_seq_and_ts_off')
      ? { init_seq_and_ts_off: tcp_v4_init_seq_and_ts_off }
      : { init_seq: tcp_v4_init_seq, init_ts_off: tcp_v4_init_ts_off }),
    send_synack: tcp_v4_send_synack,
  })
  af.mss_clamp = TCP_MSS_DEFAULT
  const tw = k.global('tcp_timewait_sock_ops', 'timewait_sock_ops')
  fillOps(k, tw, { twsk_unique: tcp_twsk_unique, twsk_destructor: 'tcp_twsk_destructor' })
  tw.twsk_obj_size = k.types.sizeof('tcp_timewait_sock')
  tw.twsk_slab_name = BigInt(kstrdup(k, 'tw_sock_TCP'))
  tw.twsk_slab = kmem_cache_create(k, 'tw_sock_TCP', tw.twsk_obj_size, {
    flags: SLAB_ACCOUNT | SLAB_PANIC | SLAB_TYPESAFE_BY_RCU,
  })
}

/** Sysctls of a network as they are by default. @see net/ipv4/tcp_ipv4.c:tcp_sk_init */
export const tcp_sk_init = kfunc('net/ipv4/tcp_ipv4.c', function tcp_sk_init(k): number {
  const { ipv4 } = k.global('init_net', 'net')
  refcount_set(ipv4.tcp_death_row.tw_refcount, 1)
  ipv4.tcp_death_row.hashinfo = tcp_hashinfo(k)
  ipv4.tcp_death_row.sysctl_max_tw_buckets = tcp_hashinfo(k).ehash_mask + 1
  for (const [member, value] of SYSCTLS) if (ipv4.$has(member)) ipv4.$set(member, value)
  ipv4.sysctl_max_syn_backlog = Math.max(128, (tcp_hashinfo(k).ehash_mask + 1) / 256)
  const words = (name: 'sysctl_tcp_wmem' | 'sysctl_tcp_rmem', values: number[]): void =>
    values.forEach((value, i) => ipv4[name].set(i, value))
  // the most a buffer may grow to follows the machine's memory
  const most = Math.min(4 << 20, Math.floor(k.mem.sizeBytes / 256 + 64 * 1024))
  words('sysctl_tcp_wmem', [4096, 16384, Math.max(64 * 1024, most)])
  words('sysctl_tcp_rmem', [4096, 131072, Math.min(6 << 20, Math.max(131072, most))])
  ipv4.ip_local_ports.range.set(0, 32768)
  ipv4.ip_local_ports.range.set(1, 60999)
  ipv4.tcp_congestion_control = k.global('cubictcp', 'tcp_congestion_ops')
  return 0
})

const HZ = 250
const SYSCTLS: readonly (readonly [string, number])[] = [
  ['ip_rt_min_pmtu', 552],
  ['ip_rt_mtu_expires', 600 * HZ],
  ['ip_rt_min_advmss', 256],
  ['sysctl_tcp_ecn', 2],
  ['sysctl_tcp_ecn_fallback', 1],
  ['sysctl_ip_default_ttl', 64],
  ['sysctl_ip_fwd_update_priority', 1],
  ['sysctl_ip_early_demux', 1],
  ['sysctl_tcp_early_demux', 1],
  ['sysctl_udp_early_demux', 1],
  ['sysctl_raw_l3mdev_accept', 1],
  ['sysctl_nexthop_compat_mode', 1],
  ['sysctl_tcp_mtu_probe_floor', 48],
  ['sysctl_tcp_base_mss', 1024],
  ['sysctl_tcp_min_snd_mss', 48],
  ['sysctl_tcp_probe_threshold', 8],
  ['sysctl_tcp_probe_interval', 600],
  ['sysctl_tcp_keepalive_time', 7200 * HZ],
  ['sysctl_tcp_keepalive_intvl', 75 * HZ],
  ['sysctl_tcp_keepalive_probes', 9],
  ['sysctl_tcp_syn_retries', 6],
  ['sysctl_tcp_synack_retries', 5],
  ['sysctl_tcp_syncookies', 1],
  ['sysctl_tcp_comp_sack_nr', 44],
  ['sysctl_tcp_reordering', 3],
  ['sysctl_tcp_retries1', 3],
  ['sysctl_tcp_retries2', 15],
  ['sysctl_tcp_tw_reuse', 2],
  ['sysctl_tcp_fin_timeout', 60 * HZ],
  ['sysctl_tcp_notsent_lowat', 0xffff_ffff],
  ['sysctl_tcp_sack', 1],
  ['sysctl_tcp_window_scaling', 1],
  ['sysctl_tcp_timestamps', 1],
  ['sysctl_tcp_early_retrans', 3],
  ['sysctl_tcp_recovery', 1],
  ['sysctl_tcp_slow_start_after_idle', 1],
  ['sysctl_tcp_retrans_collapse', 1],
  ['sysctl_tcp_max_reordering', 300],
  ['sysctl_tcp_dsack', 1],
  ['sysctl_tcp_app_win', 31],
  ['sysctl_tcp_adv_win_scale', 1],
  ['sysctl_tcp_frto', 2],
  ['sysctl_tcp_moderate_rcvbuf', 1],
  ['sysctl_tcp_tso_win_divisor', 3],
  ['sysctl_tcp_limit_output_bytes', 16 * 65536],
  ['sysctl_tcp_challenge_ack_limit', 0x7fff_ffff],
  ['sysctl_tcp_min_rtt_wlen', 300],
  ['sysctl_tcp_autocorking', 1],
  ['sysctl_tcp_invalid_ratelimit', HZ / 2],
  ['sysctl_tcp_pacing_ss_ratio', 200],
  ['sysctl_tcp_pacing_ca_ratio', 120],
  ['sysctl_tcp_no_ssthresh_metrics_save', 1],
  ['sysctl_tcp_min_tso_segs', 2],
  ['sysctl_tcp_tso_rtt_log', 9],
  ['sysctl_tcp_comp_sack_delay_ns', 1_000_000],
  ['sysctl_tcp_comp_sack_slack_ns', 100_000],
  ['sysctl_tcp_fastopen', 1],
]

/** @see net/ipv4/tcp.c:tcp_init */
export const tcp_init = kfunc('net/ipv4/tcp.c', function tcp_init(k): void {
  inet_hashinfo2_init(k, tcp_hashinfo(k))
  cubictcp_register(k)
  tcp_v4_init(k)
})

/** @see net/ipv4/tcp_ipv4.c:tcp_v4_init */
export const tcp_v4_init = kfunc('net/ipv4/tcp_ipv4.c', function tcp_v4_init(k): void {
  tcp_sk_init(k)
})

/** TCP's part of inet_init(): its proto, its tables, its place among IP's protocols. */
export function registerTcp(k: Kernel): void {
  initMinisocks(k)
  initSpecific(k)
  initProt(k)
  const protocol = k.global('tcp_protocol', 'net_protocol')
  protocol.handler = k.text(tcp_v4_rcv)
  fillOps(k, protocol, { err_handler: 'tcp_v4_err' })
  protocol.no_policy = 1
  inet_add_protocol(k, protocol, IPPROTO_TCP)
}
