/** Captured frames in one line each, as tcpdump has them. */

import { ValidationError } from '../base/errors.ts'

const PCAP_MAGIC_NS = 0xa1b23c4d
const PCAP_HEADER = 24
const RECORD_HEADER = 16
const FRAME_MAX = 1 << 18

/** A frame of a capture. */
export interface CapturedFrame {
  readonly number: number
  /** nanoseconds since the epoch */
  readonly time: bigint
  readonly bytes: Uint8Array
}

/** The frames of a pcap with nanoseconds. @throws ValidationError where it is damaged */
export function* pcap_frames(pcap: Uint8Array): Generator<CapturedFrame> {
  const v = new DataView(pcap.buffer, pcap.byteOffset, pcap.byteLength)
  const bad = (at: number, what: string): ValidationError =>
    new ValidationError(BigInt(at), 'a capture', what)
  if (pcap.length < PCAP_HEADER || v.getUint32(0, true) !== PCAP_MAGIC_NS) throw bad(0, 'something else')
  for (let at = PCAP_HEADER, number = 1; at < pcap.length; number++) {
    if (at + RECORD_HEADER > pcap.length) throw bad(at, 'its end')
    const length = v.getUint32(at + 8, true)
    const start = at + RECORD_HEADER
    if (length > FRAME_MAX || start + length > pcap.length) throw bad(at, `a frame of ${length} bytes`)
    const time = BigInt(v.getUint32(at, true)) * 1_000_000_000n + BigInt(v.getUint32(at + 4, true))
    yield { number, time, bytes: pcap.subarray(start, start + length) }
    at = start + length
  }
}

/** Who speaks to whom, and what: `IP 192.168.56.101.51000 > 192.168.56.1.31337: Flags [S], seq 1, win 64240, length 0`. */
export function frame_text(bytes: Uint8Array): string {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 14) return `${bytes.length} bytes`
  const type = v.getUint16(12)
  if (type === 0x0806 && bytes.length >= 42) return arp_text(v)
  if (type !== 0x0800 || bytes.length < 34) return `ethertype 0x${type.toString(16)}, ${bytes.length} bytes`
  const transport = 14 + (v.getUint8(14) & 15) * 4
  const protocol = v.getUint8(23)
  const [from, to] = [dotted(v, 26), dotted(v, 30)]
  if (protocol === 6 && transport + 20 <= bytes.length) return tcp_text(v, from, to, transport)
  if (protocol !== 17 || transport + 8 > bytes.length) return `IP ${from} > ${to}: protocol ${protocol}`
  const ports = `IP ${from}.${v.getUint16(transport)} > ${to}.${v.getUint16(transport + 2)}`
  return `${ports}: UDP, length ${v.getUint16(transport + 4) - 8}`
}

const dotted = (v: DataView, at: number): string => [0, 1, 2, 3].map((i) => v.getUint8(at + i)).join('.')

const arp_text = (v: DataView): string =>
  v.getUint16(20) === 1
    ? `ARP, Request who-has ${dotted(v, 38)} tell ${dotted(v, 28)}`
    : `ARP, Reply ${dotted(v, 28)} is-at ${[0, 1, 2, 3, 4, 5]
        .map((i) =>
          v
            .getUint8(22 + i)
            .toString(16)
            .padStart(2, '0'),
        )
        .join(':')}`

/** Letters of the flags byte from its lowest bit. */
const FLAGS = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W']

function tcp_text(v: DataView, from: string, to: string, at: number): string {
  const header = (v.getUint8(at + 12) >>> 4) * 4
  const flags = v.getUint8(at + 13)
  const letters = FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0)
  const length = Math.max(0, v.getUint16(16) - (at - 14) - header)
  const ack = (flags & 0x10) !== 0 ? `, ack ${v.getUint32(at + 8)}` : ''
  const ends = `IP ${from}.${v.getUint16(at)} > ${to}.${v.getUint16(at + 2)}`
  const numbers = `seq ${v.getUint32(at + 4)}${ack}, win ${v.getUint16(at + 14)}`
  return `${ends}: Flags [${letters.join('')}], ${numbers}, length ${length}`
}
