/** Which member holds which end of a connection: bytes, byte order, names, and whose address it is. */

import { toAddr } from '../base/addr.ts'
import { ntohs } from '../base/u32.ts'
import type { StructRef } from '../btf/ref.ts'
import { in6_groups, ipv4_text, ipv6_text } from '../helpers/inet-address.ts'
import { AF_INET6, sock_common, type SockKind } from '../helpers/sock.ts'
import type { Field, Side } from './facts.ts'

/** A member to show: where it is, what it is also called, and how to read it. */
interface Shown {
  readonly struct: string
  readonly path: string
  readonly label: string
  readonly alias: string
  readonly what: 'address' | 'address6' | 'be16' | 'host16'
  readonly end: 'local' | 'remote'
}

const COMMON: readonly Shown[] = [
  { struct: 'sock_common', path: 'skc_daddr', label: '__sk_common.skc_daddr', alias: 'sk_daddr, inet_daddr', what: 'address', end: 'remote' },
  { struct: 'sock_common', path: 'skc_dport', label: '__sk_common.skc_dport', alias: 'sk_dport, inet_dport', what: 'be16', end: 'remote' },
  { struct: 'sock_common', path: 'skc_rcv_saddr', label: '__sk_common.skc_rcv_saddr', alias: 'sk_rcv_saddr, inet_rcv_saddr', what: 'address', end: 'local' },
  { struct: 'sock_common', path: 'skc_num', label: '__sk_common.skc_num', alias: 'sk_num, inet_num', what: 'host16', end: 'local' },
] // prettier-ignore

const COMMON6: readonly Shown[] = [
  { struct: 'sock_common', path: 'skc_v6_daddr', label: '__sk_common.skc_v6_daddr', alias: 'sk_v6_daddr', what: 'address6', end: 'remote' },
  { struct: 'sock_common', path: 'skc_dport', label: '__sk_common.skc_dport', alias: 'sk_dport, inet_dport', what: 'be16', end: 'remote' },
  { struct: 'sock_common', path: 'skc_v6_rcv_saddr', label: '__sk_common.skc_v6_rcv_saddr', alias: 'sk_v6_rcv_saddr', what: 'address6', end: 'local' },
  { struct: 'sock_common', path: 'skc_num', label: '__sk_common.skc_num', alias: 'sk_num, inet_num', what: 'host16', end: 'local' },
] // prettier-ignore

/** Members only a full sock has. */
const FULL: readonly Shown[] = [
  { struct: 'inet_sock', path: 'inet_saddr', label: 'inet_sock.inet_saddr', alias: 'what is sent as source', what: 'address', end: 'local' },
  { struct: 'inet_sock', path: 'inet_sport', label: 'inet_sock.inet_sport', alias: 'htons(inet_num)', what: 'be16', end: 'local' },
] // prettier-ignore

/** The same bytes under the names a request_sock or timewait_sock gives them. */
const OTHER_NAMES: Readonly<Record<Exclude<SockKind, 'full'>, Readonly<Record<string, string>>>> = {
  request: {
    skc_daddr: 'ir_rmt_addr',
    skc_dport: 'ir_rmt_port',
    skc_rcv_saddr: 'ir_loc_addr',
    skc_num: 'ir_num',
  },
  timewait: {
    skc_daddr: 'tw_daddr',
    skc_dport: 'tw_dport',
    skc_rcv_saddr: 'tw_rcv_saddr',
    skc_num: 'tw_num',
  },
}

/**
 * The address members of any internet sock.
 * @param sides whose each end is
 */
export function addressFields(sk: StructRef, kind: SockKind, sides: { local: Side; remote: Side }): Field[] {
  const v6 = Number(sock_common(sk).$int('skc_family')) === AF_INET6
  const shown = [...(v6 ? COMMON6 : COMMON), ...(kind === 'full' && !v6 ? FULL : [])]
  return shown
    .filter(({ struct, path }) => sk.$types.has(struct, path))
    .map((show) => {
      const alias = kind === 'full' ? show.alias : (OTHER_NAMES[kind][show.path] ?? show.alias)
      return readField(sk, { ...show, alias }, show.end === 'local' ? sides.local : sides.remote)
    })
}

function readField(sk: StructRef, show: Shown, side: Side): Field {
  const ref = sk.$cast(show.struct)
  const va = ref.$vaOf(show.path)
  const size = show.what === 'address' ? 4 : show.what === 'address6' ? 16 : 2
  const raw = ref.$mem.read(va, size)
  return {
    member: show.label,
    alias: show.alias,
    at: toAddr(va),
    bytes: [...raw].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    order: show.what === 'host16' ? 'host' : 'network',
    value: valueOf(ref, va, show.what),
    side,
  }
}

function valueOf(ref: StructRef, va: number, what: Shown['what']): string {
  switch (what) {
    case 'address':
      return ipv4_text(ref.$mem.u32(va))
    case 'address6':
      return ipv6_text(in6_groups(ref.$mem, va))
    case 'be16':
      return String(ntohs(ref.$mem.u16(va)))
    case 'host16':
      return String(ref.$mem.u16(va))
  }
}
