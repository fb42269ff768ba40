/** TCP options of what is sent: which ones, how long, and their bytes. */

import type { Va } from '../../../../base/addr.ts'
import { htonl } from '../../../../base/u32.ts'
import type { request_sock, sock, tcp_sock } from '../../../../btf/vmlinux.ts'
import { SourceKind } from '../../../../memory/memory.ts'
import {
  TCPOLEN_SACK_BASE_ALIGNED,
  TCPOLEN_SACK_PERBLOCK,
  TCPOLEN_TSTAMP_ALIGNED,
  MAX_TCP_OPTION_SPACE,
} from '../../../../abi/tcp.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sock_net } from '../../../include/net/sock.ts'
import { inet_rsk, tcp_rsk, tcp_sk } from '../../../include/net/casts.ts'
import { tcp_skb_timestamp } from '../../../include/net/tcp.ts'
import type { sk_buff } from '../../../../btf/vmlinux.ts'

const FILE = 'net/ipv4/tcp_output.c'

/** @see net/ipv4/tcp_output.c:tcp_out_options */
export interface TcpOutOptions {
  mss?: number
  ts?: { tsval: number; tsecr: number; tsecrAt: Va }
  sackPermitted?: boolean
  /** Our window's shift. */
  ws?: number
  sackBlocks?: number
}

/** What a SYN offers. @returns bytes of options @see net/ipv4/tcp_output.c:tcp_syn_options */
export function tcp_syn_options(k: Kernel, sk: sock, skb: sk_buff, opts: TcpOutOptions): number {
  const tp = tcp_sk(k, sk)
  const { ipv4 } = sock_net(sk)
  let size = 4
  opts.mss = Math.min(tp.advmss, tp.rx_opt.user_mss || tp.advmss)
  if (ipv4.sysctl_tcp_timestamps !== 0) {
    opts.ts = {
      tsval: (tcp_skb_timestamp(skb) + tp.tsoffset) >>> 0,
      tsecr: tp.rx_opt.ts_recent,
      tsecrAt: tp.rx_opt.$vaOf('ts_recent'),
    }
    size += TCPOLEN_TSTAMP_ALIGNED
  }
  if (ipv4.sysctl_tcp_window_scaling !== 0) {
    opts.ws = tp.rx_opt.rcv_wscale
    size += 4
  }
  if (ipv4.sysctl_tcp_sack !== 0) {
    opts.sackPermitted = true
    // beside a timestamp it takes the place of two NOPs
    if (opts.ts === undefined) size += 4
  }
  return size
}

/** What a SYN-ACK agrees to: nothing the SYN did not offer. @see net/ipv4/tcp_output.c:tcp_synack_options */
export function tcp_synack_options(
  k: Kernel,
  req: request_sock,
  mss: number,
  skb: sk_buff,
  opts: TcpOutOptions,
): number {
  const ireq = inet_rsk(k, req)
  let size = 4
  opts.mss = mss
  if (ireq.wscale_ok === 1) {
    opts.ws = ireq.rcv_wscale
    size += 4
  }
  if (ireq.tstamp_ok === 1) {
    opts.ts = {
      tsval: (tcp_skb_timestamp(skb) + tcp_rsk(k, req).ts_off) >>> 0,
      tsecr: req.ts_recent,
      tsecrAt: req.$vaOf('ts_recent'),
    }
    size += TCPOLEN_TSTAMP_ALIGNED
  }
  if (ireq.sack_ok === 1) {
    opts.sackPermitted = true
    if (ireq.tstamp_ok === 0) size += 4
  }
  return size
}

/** Options of every other segment: a timestamp, and what arrived out of order. */
export const tcp_established_options = kfunc(
  FILE,
  function tcp_established_options(k, sk: sock, skb: sk_buff | null, opts: TcpOutOptions): number {
    const tp: tcp_sock = tcp_sk(k, sk)
    let size = 0
    if (tp.rx_opt.tstamp_ok === 1) {
      opts.ts = {
        tsval: skb === null ? 0 : (tcp_skb_timestamp(skb) + tp.tsoffset) >>> 0,
        tsecr: tp.rx_opt.ts_recent,
        tsecrAt: tp.rx_opt.$vaOf('ts_recent'),
      }
      size += TCPOLEN_TSTAMP_ALIGNED
    }
    const blocks = tp.rx_opt.num_sacks + tp.rx_opt.dsack
    if (blocks > 0) {
      const room = Math.floor(
        (MAX_TCP_OPTION_SPACE - size - TCPOLEN_SACK_BASE_ALIGNED) / TCPOLEN_SACK_PERBLOCK,
      )
      opts.sackBlocks = Math.min(blocks, room)
      if (opts.sackBlocks > 0) size += TCPOLEN_SACK_BASE_ALIGNED + opts.sackBlocks * TCPOLEN_SACK_PERBLOCK
    }
    return size
  },
)

/**
 * The options' bytes, each on a four-byte boundary.
 *
 * @param at behind the fixed header
 * @param tp whose SACK blocks; `null` for a request
 */
export const tcp_options_write = kfunc(
  FILE,
  function tcp_options_write(k, at: Va, tp: tcp_sock | null, opts: TcpOutOptions): void {
    let ptr = at
    const put = (word: number, kind = SourceKind.None, from = 0): void => {
      k.mem.setU32(ptr, htonl(word), kind, from)
      ptr += 4
    }
    if (opts.mss !== undefined) put((2 << 24) | (4 << 16) | opts.mss)
    if (opts.ts !== undefined) {
      put(opts.sackPermitted === true ? 0x0402080a : 0x0101080a)
      put(opts.ts.tsval)
      put(opts.ts.tsecr, SourceKind.Memory, opts.ts.tsecrAt)
    } else if (opts.sackPermitted === true) put(0x01010402)
    if (opts.ws !== undefined) put((1 << 24) | (3 << 16) | (3 << 8) | opts.ws)
    if (tp !== null && opts.sackBlocks !== undefined && opts.sackBlocks > 0) {
      put((0x0101 << 16) | (5 << 8) | (2 + opts.sackBlocks * TCPOLEN_SACK_PERBLOCK))
      // a duplicate is reported in front of what is missing
      const first = tp.rx_opt.dsack === 1 ? tp.duplicate_sack.$va : tp.selective_acks.$va
      for (let i = 0; i < opts.sackBlocks; i++) {
        const block = tp.rx_opt.dsack === 1 && i > 0 ? tp.selective_acks.$va + 8 * (i - 1) : first + 8 * i
        put(k.mem.u32(block), SourceKind.Memory, block)
        put(k.mem.u32(block + 4), SourceKind.Memory, block + 4)
      }
      tp.rx_opt.dsack = 0
    }
  },
)
