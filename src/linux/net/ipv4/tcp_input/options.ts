/** TCP options of what arrives. */

import type { sk_buff, tcp_options_received, tcp_sock, tcphdr } from '../../../../btf/vmlinux.ts'
import { SourceKind, Sourced } from '../../../../memory/memory.ts'
import { swab32 } from '../../../../base/u32.ts'
import {
  TCPHDR_SYN,
  TCPOLEN_MSS,
  TCPOLEN_SACK_PERM,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_TSTAMP_ALIGNED,
  TCPOLEN_WINDOW,
  TCPOPT_EOL,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
  TCP_MAX_WSCALE,
} from '../../../../abi/tcp.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { tcp_flag_byte, tcp_hdr } from '../../../include/net/casts.ts'

const FILE = 'net/ipv4/tcp_input.c'

/** A big-endian word of the packet, knowing where it lay. */
const beWord = (k: Kernel, va: number): Sourced<number> =>
  new Sourced(swab32(k.mem.u32(va)), SourceKind.Memory, va)

/** Where the SACK option's blocks begin, with their number; kept for the ACK's processing. */
export interface SackOption {
  blocks: { start: number; end: number }[]
}

/**
 * Read the options into `rx`.
 *
 * @param estab the connection stands: only what was agreed counts
 * @param sack  filled with the SACK blocks, when the caller wants them
 * @see net/ipv4/tcp_input.c:tcp_parse_options
 */
export const tcp_parse_options = kfunc(
  FILE,
  function tcp_parse_options(
    k,
    skb: sk_buff,
    rx: tcp_options_received,
    estab: boolean,
    sack?: SackOption,
  ): void {
    const th = tcp_hdr(k, skb)
    const syn = (tcp_flag_byte(th) & TCPHDR_SYN) !== 0
    const { ipv4 } = k.global('init_net', 'net')
    const end = th.$va + th.doff * 4
    let at = th.$va + 20
    rx.saw_tstamp = 0
    while (at < end) {
      const kind = k.mem.u8(at)
      if (kind === TCPOPT_EOL) return
      if (kind === TCPOPT_NOP) {
        at++
        continue
      }
      const size = at + 1 < end ? k.mem.u8(at + 1) : 0
      if (size < 2 || at + size > end) return
      const value = at + 2
      switch (kind) {
        case TCPOPT_MSS: {
          const mss = (k.mem.u8(value) << 8) | k.mem.u8(value + 1)
          if (size === TCPOLEN_MSS && syn && !estab && mss !== 0) {
            const clamped = rx.user_mss !== 0 && rx.user_mss < mss ? rx.user_mss : mss
            rx.mss_clamp = new Sourced(clamped, SourceKind.Memory, value)
          }
          break
        }
        case TCPOPT_WINDOW:
          if (size === TCPOLEN_WINDOW && syn && !estab && ipv4.sysctl_tcp_window_scaling !== 0) {
            rx.wscale_ok = 1
            rx.snd_wscale = Math.min(k.mem.u8(value), TCP_MAX_WSCALE)
          }
          break
        case TCPOPT_TIMESTAMP:
          if (size === TCPOLEN_TIMESTAMP && (estab ? rx.tstamp_ok === 1 : ipv4.sysctl_tcp_timestamps !== 0)) {
            rx.saw_tstamp = 1
            rx.rcv_tsval = beWord(k, value)
            rx.rcv_tsecr = beWord(k, value + 4)
          }
          break
        case TCPOPT_SACK_PERM:
          if (size === TCPOLEN_SACK_PERM && syn && !estab && ipv4.sysctl_tcp_sack !== 0) {
            rx.sack_ok = 1
            rx.num_sacks = 0
            rx.dsack = 0
          }
          break
        case TCPOPT_SACK:
          for (let p = value; sack !== undefined && p + 8 <= at + size; p += 8) {
            sack.blocks.push({ start: swab32(k.mem.u32(p)), end: swab32(k.mem.u32(p + 4)) })
          }
          break
      }
      at += size
    }
  },
)

/**
 * The usual segment carries a timestamp and nothing else: read that without a walk.
 * @returns false when there are no options to look at
 * @see net/ipv4/tcp_input.c:tcp_fast_parse_options
 */
export function tcp_fast_parse_options(
  k: Kernel,
  skb: sk_buff,
  th: tcphdr,
  tp: tcp_sock,
  sack: SackOption,
): boolean {
  const { rx_opt } = tp
  const length = th.doff * 4
  if (length === 20) {
    rx_opt.saw_tstamp = 0
    return false
  }
  const at = th.$va + 20
  if (length === 20 + TCPOLEN_TSTAMP_ALIGNED && rx_opt.tstamp_ok === 1 && k.mem.u32(at) === 0x0a080101) {
    rx_opt.saw_tstamp = 1
    rx_opt.rcv_tsval = beWord(k, at + 4)
    storeEcho(k, tp, at + 8)
    return true
  }
  tcp_parse_options(k, skb, rx_opt, true, sack)
  if (rx_opt.saw_tstamp === 1 && rx_opt.rcv_tsecr !== 0)
    rx_opt.rcv_tsecr = (rx_opt.rcv_tsecr - tp.tsoffset) >>> 0
  return true
}

/** The echo of our own timestamp, less the offset the connection adds. */
function storeEcho(k: Kernel, tp: tcp_sock, va: number): void {
  const echo = beWord(k, va)
  tp.rx_opt.rcv_tsecr = echo.value === 0 ? echo : echo.map((v) => (v - tp.tsoffset) >>> 0)
}

/** Forget what a request's options said before. @see include/linux/tcp.h:tcp_clear_options */
export function tcp_clear_options(rx: tcp_options_received): void {
  rx.tstamp_ok = 0
  rx.sack_ok = 0
  rx.wscale_ok = 0
  rx.snd_wscale = 0
  rx.smc_ok = 0
}
