/** Which field of which header a byte of a captured frame belongs to, and what the frame is. */

import { ipv6_text } from '../helpers/inet-address.ts'

/** A field of a header. */
export interface FrameField {
  readonly protocol: 'Ethernet' | 'ARP' | 'IPv4' | 'IPv6' | 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6'
  /** in words: `source address` */
  readonly name: string
  /** the member in the kernel's struct of that header: `saddr` */
  readonly member: string
  /** first byte in the frame */
  readonly at: number
  readonly size: number
  /** as people write it: an address, a number, flags */
  readonly value: string
}

/** offset in the header, bytes, name, member, how to write it */
type Row = readonly [
  at: number,
  size: number,
  name: string,
  member: string,
  form: 'mac' | 'ip' | 'ip6' | 'number' | 'hex' | 'flags' | 'bytes',
]

/** @see include/uapi/linux/if_ether.h:ethhdr */
const ETHERNET: readonly Row[] = [
  [0, 6, 'destination address', 'h_dest', 'mac'],
  [6, 6, 'source address', 'h_source', 'mac'],
  [12, 2, 'type', 'h_proto', 'hex'],
]
/** @see include/uapi/linux/if_arp.h:arphdr */
const ARP: readonly Row[] = [
  [0, 2, 'hardware type', 'ar_hrd', 'number'],
  [2, 2, 'protocol type', 'ar_pro', 'hex'],
  [4, 1, 'length of hardware addresses', 'ar_hln', 'number'],
  [5, 1, 'length of protocol addresses', 'ar_pln', 'number'],
  [6, 2, 'operation', 'ar_op', 'number'],
  [8, 6, 'sender hardware address', 'ar_sha', 'mac'],
  [14, 4, 'sender address', 'ar_sip', 'ip'],
  [18, 6, 'target hardware address', 'ar_tha', 'mac'],
  [24, 4, 'target address', 'ar_tip', 'ip'],
]
/** @see include/uapi/linux/ip.h:iphdr */
const IPV4: readonly Row[] = [
  [0, 1, 'version and header length', 'version, ihl', 'hex'],
  [1, 1, 'type of service', 'tos', 'hex'],
  [2, 2, 'total length', 'tot_len', 'number'],
  [4, 2, 'identification', 'id', 'number'],
  [6, 2, 'flags and fragment offset', 'frag_off', 'hex'],
  [8, 1, 'time to live', 'ttl', 'number'],
  [9, 1, 'protocol', 'protocol', 'number'],
  [10, 2, 'header checksum', 'check', 'hex'],
  [12, 4, 'source address', 'saddr', 'ip'],
  [16, 4, 'destination address', 'daddr', 'ip'],
]
/** @see include/uapi/linux/ipv6.h:ipv6hdr */
const IPV6: readonly Row[] = [
  [0, 4, 'version, traffic class and flow label', 'flow_lbl', 'hex'],
  [4, 2, 'payload length', 'payload_len', 'number'],
  [6, 1, 'next header', 'nexthdr', 'number'],
  [7, 1, 'hop limit', 'hop_limit', 'number'],
  [8, 16, 'source address', 'saddr', 'ip6'],
  [24, 16, 'destination address', 'daddr', 'ip6'],
]
/** @see include/uapi/linux/tcp.h:tcphdr */
const TCP: readonly Row[] = [
  [0, 2, 'source port', 'source', 'number'],
  [2, 2, 'destination port', 'dest', 'number'],
  [4, 4, 'sequence number', 'seq', 'number'],
  [8, 4, 'acknowledgment number', 'ack_seq', 'number'],
  [12, 1, 'data offset', 'doff', 'hex'],
  [13, 1, 'flags', 'syn, ack, …', 'flags'],
  [14, 2, 'window', 'window', 'number'],
  [16, 2, 'checksum', 'check', 'hex'],
  [18, 2, 'urgent pointer', 'urg_ptr', 'number'],
]
/** @see include/uapi/linux/udp.h:udphdr */
const UDP: readonly Row[] = [
  [0, 2, 'source port', 'source', 'number'],
  [2, 2, 'destination port', 'dest', 'number'],
  [4, 2, 'length', 'len', 'number'],
  [6, 2, 'checksum', 'check', 'hex'],
]
/** @see include/uapi/linux/icmp.h:icmphdr */
const ICMP: readonly Row[] = [
  [0, 1, 'type', 'type', 'number'],
  [1, 1, 'code', 'code', 'number'],
  [2, 2, 'checksum', 'checksum', 'hex'],
  [4, 2, 'identifier', 'un.echo.id', 'number'],
  [6, 2, 'sequence number', 'un.echo.sequence', 'number'],
]

const ETH_P_IP = 0x0800
const ETH_P_ARP = 0x0806
const ETH_P_8021Q = 0x8100
const ETH_P_IPV6 = 0x86dd

/** A header found in a frame: where it and what follows it begin. */
interface Header {
  readonly protocol: FrameField['protocol']
  readonly at: number
  readonly end: number
  readonly rows: readonly Row[]
}

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

/** The headers of an Ethernet frame, as far as it has them. */
function headersOf(frame: Uint8Array): Header[] {
  const tagged = u16(frame, 12) === ETH_P_8021Q ? 4 : 0
  const ethernet: Header = { protocol: 'Ethernet', at: 0, end: 14 + tagged, rows: ETHERNET }
  if (frame.length < ethernet.end) return [ethernet]
  const at = ethernet.end
  switch (u16(frame, 12 + tagged)) {
    case ETH_P_ARP:
      return [ethernet, { protocol: 'ARP', at, end: at + 28, rows: ARP }]
    case ETH_P_IP: {
      const end = at + ((frame[at] ?? 0) & 15) * 4
      const header: Header = { protocol: 'IPv4', at, end: Math.max(end, at + 20), rows: IPV4 }
      const first = (u16(frame, at + 6) & 0x1fff) === 0
      return [ethernet, header, ...(first ? transport(frame, header.end, frame[at + 9] ?? 0) : [])]
    }
    case ETH_P_IPV6:
      return [
        ethernet,
        { protocol: 'IPv6', at, end: at + 40, rows: IPV6 },
        ...transport(frame, at + 40, frame[at + 6] ?? 0),
      ]
    default:
      return [ethernet]
  }
}

function transport(frame: Uint8Array, at: number, protocol: number): Header[] {
  if (protocol === 6) {
    const end = at + Math.max(20, ((frame[at + 12] ?? 0x50) >>> 4) * 4)
    return [{ protocol: 'TCP', at, end, rows: TCP }]
  }
  if (protocol === 17) return [{ protocol: 'UDP', at, end: at + 8, rows: UDP }]
  if (protocol === 1) return [{ protocol: 'ICMP', at, end: at + 8, rows: ICMP }]
  return protocol === 58 ? [{ protocol: 'ICMPv6', at, end: at + 4, rows: ICMP.slice(0, 3) }] : []
}

/**
 * The field a byte of a frame belongs to.
 *
 * @param frame  from the destination address on
 * @returns undefined beyond the frame's end; a header's options and the data behind the headers are fields too
 */
export function frameField(frame: Uint8Array, offset: number): FrameField | undefined {
  if (offset < 0 || offset >= frame.length) return undefined
  const headers = headersOf(frame)
  const header = headers.findLast(({ at }) => offset >= at)
  if (header === undefined) return undefined
  const row = header.rows.find(([at, size]) => offset >= header.at + at && offset < header.at + at + size)
  if (offset < header.end && row !== undefined) {
    const at = header.at + row[0]
    const value = formed(frame.subarray(at, at + row[1]), row[4])
    return { protocol: header.protocol, name: row[2], member: row[3], at, size: row[1], value }
  }
  if (offset < header.end) {
    return header.protocol === 'TCP'
      ? tcpOption(frame, header, offset)
      : rest(frame, header, offset, 'option')
  }
  return rest(frame, header, offset, 'data')
}

function rest(frame: Uint8Array, header: Header, offset: number, what: 'option' | 'data'): FrameField {
  const at = what === 'data' ? header.end : offset
  const end = what === 'data' ? frame.length : offset + 1
  const name = what === 'data' ? `data, byte ${offset - at}` : 'options'
  const value = formed(frame.subarray(offset, Math.min(end, offset + 16)), 'bytes')
  return { protocol: header.protocol, name, member: '', at, size: end - at, value }
}

const OPTIONS: Readonly<Record<number, string>> = {
  2: 'maximum segment size',
  3: 'window scale',
  4: 'SACK permitted',
  5: 'SACK blocks',
  8: 'timestamps',
  34: 'Fast Open cookie',
}

/** @see net/ipv4/tcp_input.c:tcp_parse_options */
function tcpOption(frame: Uint8Array, header: Header, offset: number): FrameField {
  let at = header.at + 20
  while (at < header.end) {
    const kind = frame[at] ?? 0
    const size = kind <= 1 ? 1 : Math.max(2, frame[at + 1] ?? 2)
    if (offset < at + size) {
      const name = kind <= 1 ? 'padding of the options' : `option ${OPTIONS[kind] ?? kind}`
      return { protocol: 'TCP', name, member: '', at, size, value: optionValue(frame, at, kind, size) }
    }
    at += size
  }
  return rest(frame, header, offset, 'option')
}

function optionValue(frame: Uint8Array, at: number, kind: number, size: number): string {
  const body = frame.subarray(at + 2, at + size)
  if (kind === 2 || kind === 3) return formed(body, 'number')
  if (kind === 8) return `${formed(body.subarray(0, 4), 'number')}, ${formed(body.subarray(4, 8), 'number')}`
  return kind <= 1 ? String(kind) : formed(body, 'bytes')
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']

function flagsText(byte: number): string {
  return FLAGS.filter((_, bit) => (byte & (1 << bit)) !== 0).join(',')
}

function formed(bytes: Uint8Array, form: Row[4]): string {
  const hexes = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
  switch (form) {
    case 'mac':
      return hexes.join(':')
    case 'ip':
      return bytes.join('.')
    case 'ip6':
      return ipv6_text(Array.from({ length: 8 }, (_, i) => u16(bytes, i * 2)))
    case 'number':
      return BigInt(`0x${hexes.join('') || '0'}`).toString()
    case 'hex':
      return `0x${hexes.join('')}`
    case 'flags':
      return flagsText(bytes[0] ?? 0)
    case 'bytes':
      return hexes.join(' ')
  }
}

/** A frame in a few words: `192.168.56.101:40000 > 192.168.56.1:31337 TCP SYN`. */
export function frameSummary(frame: Uint8Array): string {
  const headers = headersOf(frame)
  const ip = headers.find(({ protocol }) => protocol === 'IPv4' || protocol === 'IPv6')
  const last = headers.at(-1)
  if (ip === undefined || last === undefined) {
    const [from, to] = [formed(frame.subarray(6, 12), 'mac'), formed(frame.subarray(0, 6), 'mac')]
    return `${from} > ${to} ${last?.protocol ?? 'Ethernet'}`
  }
  const ports = last.protocol === 'TCP' || last.protocol === 'UDP'
  const end = (which: 'saddr' | 'daddr', at: number): string => {
    const row = ip.rows.find(([, , , member]) => member === which)
    const text =
      row === undefined ? '?' : formed(frame.subarray(ip.at + row[0], ip.at + row[0] + row[1]), row[4])
    const host = ip.protocol === 'IPv6' && ports ? `[${text}]` : text
    return ports ? `${host}:${u16(frame, last.at + at)}` : host
  }
  const flags = last.protocol === 'TCP' ? ` ${flagsText(frame[last.at + 13] ?? 0)}` : ''
  return `${end('saddr', 0)} > ${end('daddr', 2)} ${last.protocol}${flags}`
}
