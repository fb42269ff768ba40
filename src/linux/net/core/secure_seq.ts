/** Sequence numbers and ports nobody can guess: SipHash of the connection with a secret made at first use. */

import { toVa } from '../../../base/addr.ts'
import type { net } from '../../../btf/vmlinux.ts'
import { siphash, type Hash64, type SiphashKey } from '../../../structures/siphash.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { ktime_get_real_ns } from '../../kernel/time/timekeeping.ts'

/** A 16-byte secret of the image, made when first asked for. @see include/linux/once.h:net_get_random_once */
function secret(k: Kernel, symbol: string): SiphashKey {
  const at = toVa(k.sym(symbol), k.mem.wordSize)
  const word = (i: number): number => k.mem.u32(at + 4 * i)
  if (word(0) === 0 && word(1) === 0) for (let i = 0; i < 4; i++) k.mem.setU32(at + 4 * i, k.random.u32())
  return [word(0), word(1), word(2), word(3)]
}

/** The clock in units of 64 ns keeps numbers of successive connections apart. */
const seq_scale = (k: Kernel, seq: number): number =>
  (seq + Number((ktime_get_real_ns(k) >> 6n) & 0xffff_ffffn)) >>> 0

/** First sequence number and offset of the timestamp clock. */
export interface SeqAndTsOff {
  readonly seq: number
  readonly ts_off: number
}

/**
 * @param saddr,daddr `__be32`
 * @param sport,dport `__be16`
 * @see net/core/secure_seq.c:secure_tcp_seq_and_ts_off
 */
export const secure_tcp_seq_and_ts_off = kfunc(
  'net/core/secure_seq.c',
  function secure_tcp_seq_and_ts_off(
    k,
    net: net,
    saddr: number,
    daddr: number,
    sport: number,
    dport: number,
  ): SeqAndTsOff {
    const hash = siphash(secret(k, 'net_secret'), saddr, daddr, ((sport << 16) | dport) >>> 0)
    const ts_off = net.ipv4.sysctl_tcp_timestamps === 1 ? hash.high : 0
    return { seq: seq_scale(k, hash.low), ts_off }
  },
)

/** Before the two came of one hash. @see net/core/secure_seq.c:secure_tcp_seq */
export const secure_tcp_seq = kfunc(
  'net/core/secure_seq.c',
  function secure_tcp_seq(k, saddr: number, daddr: number, sport: number, dport: number): number {
    const hash = siphash(secret(k, 'net_secret'), saddr, daddr, ((sport << 16) | dport) >>> 0)
    return seq_scale(k, hash.low)
  },
)

/** @see net/core/secure_seq.c:secure_tcp_ts_off */
export const secure_tcp_ts_off = kfunc(
  'net/core/secure_seq.c',
  function secure_tcp_ts_off(k, net: net, saddr: number, daddr: number): number {
    if (net.ipv4.sysctl_tcp_timestamps !== 1) return 0
    return siphash(secret(k, k.symbols.has('ts_secret') ? 'ts_secret' : 'net_secret'), saddr, daddr).low
  },
)

/** A connection's first sequence number and clock offset, in whichever way this kernel makes them. */
export function tcp_seq_and_ts_off(
  k: Kernel,
  net: net,
  saddr: number,
  daddr: number,
  sport: number,
  dport: number,
): SeqAndTsOff {
  if (k.symbols.has('secure_tcp_seq_and_ts_off'))
    return secure_tcp_seq_and_ts_off(k, net, saddr, daddr, sport, dport)
  return {
    seq: secure_tcp_seq(k, saddr, daddr, sport, dport),
    ts_off: secure_tcp_ts_off(k, net, saddr, daddr),
  }
}

/** Where the search for a local port begins. @see net/core/secure_seq.c:secure_ipv4_port_ephemeral */
export const secure_ipv4_port_ephemeral = kfunc(
  'net/core/secure_seq.c',
  function secure_ipv4_port_ephemeral(k, saddr: number, daddr: number, dport: number): Hash64 {
    return siphash(secret(k, 'net_secret'), saddr, daddr, dport)
  },
)
