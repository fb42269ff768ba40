/** Frames as hosts on the wire make and read them: Ethernet, ARP, IPv4, TCP. Bytes only, no machine involved. */

import {
  TCPHDR_ACK,
  TCPHDR_CWR,
  TCPHDR_ECE,
  TCPHDR_FIN,
  TCPHDR_PSH,
  TCPHDR_RST,
  TCPHDR_SYN,
  TCPHDR_URG,
  TCPOLEN_MSS,
  TCPOLEN_SACK_PERM,
  TCPOLEN_TIMESTAMP,
  TCPOLEN_WINDOW,
  TCPOPT_EOL,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
} from '../../../abi/tcp.ts'

const ETHERNET = 14
const IP_HEADER = 20
const TCP_HEADER = 20
const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_ARP = 0x0806
const IPPROTO_TCP = 6

/** Flags by the names a capture shows. */
export const TCP_FLAGS = {
  FIN: TCPHDR_FIN,
  SYN: TCPHDR_SYN,
  RST: TCPHDR_RST,
  PSH: TCPHDR_PSH,
  ACK: TCPHDR_ACK,
  URG: TCPHDR_URG,
  ECE: TCPHDR_ECE,
  CWR: TCPHDR_CWR,
} as const
export type TcpFlag = keyof typeof TCP_FLAGS

export const flagNames = (flags: number): TcpFlag[] =>
  (Object.keys(TCP_FLAGS) as TcpFlag[]).filter((name) => (flags & TCP_FLAGS[name]) !== 0)

/** An end of the Ethernet segment: hardware address, IPv4 address in host order. */
export interface Ends {
  readonly sourceMac: Uint8Array
  readonly targetMac: Uint8Array
  readonly source: number
  readonly target: number
}

/** TCP options that a host of ours knows. */
export interface TcpOptions {
  readonly mss?: number | undefined
  readonly sackPermitted?: boolean | undefined
  readonly windowScale?: number | undefined
  readonly timestamps?: { readonly value: number; readonly echo: number } | undefined
}

/** A TCP segment; ports and numbers in host order, the window as it stands in the header. */
export interface Segment {
  readonly sourcePort: number
  readonly targetPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly options: TcpOptions
  readonly payload: Uint8Array
}

/** A segment with the ends it travels between. */
export interface TcpFrame extends Segment, Ends {}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** `192.168.56.1` as a number in host order. */
export const ipNumber = (text: string): number =>
  text.split('.').reduce((sum, byte) => ((sum << 8) | Number(byte)) >>> 0, 0)

export const ipText = (ip: number): string => [24, 16, 8, 0].map((by) => (ip >>> by) & 255).join('.')

/** The Internet checksum of big-endian words, complemented. */
export function checksum(bytes: Uint8Array, start = 0): number {
  let sum = start
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** Source, target, protocol and length as TCP sums them. */
function pseudoSum(source: number, target: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (target >>> 16) + (target & 0xffff) + IPPROTO_TCP + length
}

/**
 * A segment as a frame.
 * @param ipId identification, 16 bits
 */
export function buildTcp(ends: Ends, segment: Segment, ipId: number): Uint8Array {
  const options = encodeOptions(segment.options)
  const tcpLength = TCP_HEADER + options.length + segment.payload.length
  const frame = new Uint8Array(ETHERNET + IP_HEADER + tcpLength)
  ethernet(frame, ends, ETHERTYPE_IPV4)
  ipv4(frame.subarray(ETHERNET, ETHERNET + IP_HEADER), ends, IP_HEADER + tcpLength, ipId)
  const tcp = frame.subarray(ETHERNET + IP_HEADER)
  const v = view(tcp)
  v.setUint16(0, segment.sourcePort)
  v.setUint16(2, segment.targetPort)
  v.setUint32(4, segment.seq)
  v.setUint32(8, segment.ack)
  v.setUint8(12, ((TCP_HEADER + options.length) / 4) << 4)
  v.setUint8(13, segment.flags)
  v.setUint16(14, segment.window)
  tcp.set(options, TCP_HEADER)
  tcp.set(segment.payload, TCP_HEADER + options.length)
  v.setUint16(16, checksum(tcp, pseudoSum(ends.source, ends.target, tcpLength)))
  return frame
}

function ethernet(frame: Uint8Array, ends: Ends, type: number): void {
  frame.set(ends.targetMac, 0)
  frame.set(ends.sourceMac, 6)
  view(frame).setUint16(12, type)
}

/** Header without options: TTL 64, do not fragment. */
function ipv4(header: Uint8Array, ends: Ends, length: number, id: number): void {
  const v = view(header)
  v.setUint8(0, 0x45)
  v.setUint16(2, length)
  v.setUint16(4, id)
  v.setUint16(6, 0x4000)
  v.setUint8(8, 64)
  v.setUint8(9, IPPROTO_TCP)
  v.setUint32(12, ends.source)
  v.setUint32(16, ends.target)
  v.setUint16(10, checksum(header))
}

/** Options in the order and padding of Linux: MSS, SACK and timestamps sharing a word, window scale. */
export function encodeOptions(options: TcpOptions): Uint8Array {
  const out: number[] = []
  const { mss, sackPermitted = false, windowScale, timestamps } = options
  if (mss !== undefined) out.push(TCPOPT_MSS, TCPOLEN_MSS, mss >>> 8, mss & 255)
  if (timestamps !== undefined) {
    if (sackPermitted) out.push(TCPOPT_SACK_PERM, TCPOLEN_SACK_PERM)
    else out.push(TCPOPT_NOP, TCPOPT_NOP)
    out.push(TCPOPT_TIMESTAMP, TCPOLEN_TIMESTAMP, ...be32(timestamps.value), ...be32(timestamps.echo))
  } else if (sackPermitted) out.push(TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERM, TCPOLEN_SACK_PERM)
  if (windowScale !== undefined) out.push(TCPOPT_NOP, TCPOPT_WINDOW, TCPOLEN_WINDOW, windowScale)
  return Uint8Array.from(out)
}

const be32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]

/** Read a frame; undefined when it is no whole TCP segment over IPv4. Checksums are not looked at. */
export function parseTcp(frame: Uint8Array): TcpFrame | undefined {
  if (frame.length < ETHERNET + IP_HEADER + TCP_HEADER) return undefined
  const v = view(frame)
  const ihl = (v.getUint8(ETHERNET) & 15) * 4
  if (v.getUint16(12) !== ETHERTYPE_IPV4 || v.getUint8(ETHERNET) >>> 4 !== 4 || ihl < IP_HEADER)
    return undefined
  if (v.getUint8(ETHERNET + 9) !== IPPROTO_TCP || (v.getUint16(ETHERNET + 6) & 0x3fff) !== 0) return undefined
  const end = ETHERNET + v.getUint16(ETHERNET + 2)
  const tcp = ETHERNET + ihl
  if (end > frame.length || tcp + TCP_HEADER > end) return undefined
  const header = (v.getUint8(tcp + 12) >>> 4) * 4
  if (header < TCP_HEADER || tcp + header > end) return undefined
  return {
    targetMac: frame.slice(0, 6),
    sourceMac: frame.slice(6, 12),
    source: v.getUint32(ETHERNET + 12),
    target: v.getUint32(ETHERNET + 16),
    sourcePort: v.getUint16(tcp),
    targetPort: v.getUint16(tcp + 2),
    seq: v.getUint32(tcp + 4),
    ack: v.getUint32(tcp + 8),
    flags: v.getUint8(tcp + 13),
    window: v.getUint16(tcp + 14),
    options: decodeOptions(frame.subarray(tcp + TCP_HEADER, tcp + header)),
    payload: frame.slice(tcp + header, end),
  }
}

/** Unknown options are passed over; a malformed one ends the list. */
export function decodeOptions(bytes: Uint8Array): TcpOptions {
  const v = view(bytes)
  const found: { -readonly [K in keyof TcpOptions]: TcpOptions[K] } = {}
  for (let i = 0; i < bytes.length;) {
    const kind = bytes[i] as number
    if (kind === TCPOPT_EOL) break
    if (kind === TCPOPT_NOP) {
      i++
      continue
    }
    const length = bytes[i + 1] ?? 0
    if (length < 2 || i + length > bytes.length) break
    if (kind === TCPOPT_MSS && length === TCPOLEN_MSS) found.mss = v.getUint16(i + 2)
    if (kind === TCPOPT_SACK_PERM && length === TCPOLEN_SACK_PERM) found.sackPermitted = true
    if (kind === TCPOPT_WINDOW && length === TCPOLEN_WINDOW) found.windowScale = v.getUint8(i + 2)
    if (kind === TCPOPT_TIMESTAMP && length === TCPOLEN_TIMESTAMP)
      found.timestamps = { value: v.getUint32(i + 2), echo: v.getUint32(i + 6) }
    i += length
  }
  return found
}

/** Sequence numbers a segment takes: its bytes, one for SYN, one for FIN. */
export const segmentLength = ({ payload, flags }: Pick<Segment, 'payload' | 'flags'>): number =>
  payload.length + ((flags & TCPHDR_SYN) !== 0 ? 1 : 0) + ((flags & TCPHDR_FIN) !== 0 ? 1 : 0)

export const ARP_REQUEST = 1
export const ARP_REPLY = 2

/** An ARP packet for IPv4 over Ethernet. */
export interface Arp {
  readonly operation: number
  readonly senderMac: Uint8Array
  readonly sender: number
  readonly target: number
  /** all zero in a request */
  readonly targetMac: Uint8Array
}

export function buildArp(arp: Arp): Uint8Array {
  const frame = new Uint8Array(ETHERNET + 28)
  const request = arp.operation === ARP_REQUEST
  frame.set(request ? new Uint8Array(6).fill(0xff) : arp.targetMac, 0)
  frame.set(arp.senderMac, 6)
  const v = view(frame)
  v.setUint16(12, ETHERTYPE_ARP)
  v.setUint16(14, 1)
  v.setUint16(16, ETHERTYPE_IPV4)
  v.setUint8(18, 6)
  v.setUint8(19, 4)
  v.setUint16(20, arp.operation)
  frame.set(arp.senderMac, 22)
  v.setUint32(28, arp.sender)
  frame.set(arp.targetMac, 32)
  v.setUint32(38, arp.target)
  return frame
}

export function parseArp(frame: Uint8Array): Arp | undefined {
  if (frame.length < ETHERNET + 28) return undefined
  const v = view(frame)
  if (v.getUint16(12) !== ETHERTYPE_ARP || v.getUint16(14) !== 1 || v.getUint16(16) !== ETHERTYPE_IPV4)
    return undefined
  return {
    operation: v.getUint16(20),
    senderMac: frame.slice(22, 28),
    sender: v.getUint32(28),
    targetMac: frame.slice(32, 38),
    target: v.getUint32(38),
  }
}
