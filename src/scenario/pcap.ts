/** Frames of the wire as a capture file: pcap with nanoseconds, Ethernet. */

import type { Frame } from '../linux/net/wire/wire.ts'

const MAGIC_NS = 0xa1b23c4d
const LINKTYPE_ETHERNET = 1
const SNAPLEN = 262144

/**
 * @param bootWallNs wall time at boot: captures carry wall times
 * @remarks All devices are in one file, as `tcpdump -i any` has them, but with their Ethernet headers.
 */
export function pcapOf(frames: readonly Frame[], bootWallNs: bigint): Uint8Array {
  const out = new Uint8Array(24 + frames.reduce((sum, frame) => sum + 16 + frame.bytes.length, 0))
  const v = new DataView(out.buffer)
  v.setUint32(0, MAGIC_NS, true)
  v.setUint16(4, 2, true)
  v.setUint16(6, 4, true)
  v.setUint32(16, SNAPLEN, true)
  v.setUint32(20, LINKTYPE_ETHERNET, true)
  let at = 24
  for (const { atNs, bytes } of frames) {
    const time = bootWallNs + BigInt(Math.round(atNs))
    v.setUint32(at, Number(time / 1_000_000_000n), true)
    v.setUint32(at + 4, Number(time % 1_000_000_000n), true)
    v.setUint32(at + 8, bytes.length, true)
    v.setUint32(at + 12, bytes.length, true)
    out.set(bytes, at + 16)
    at += 16 + bytes.length
  }
  return out
}
