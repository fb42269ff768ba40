/** Captured frames in a line each. */

import { describe, expect, test } from 'vitest'
import { frame_text, pcap_frames } from '../../../src/helpers/packet.ts'
import { ARP_REQUEST, buildArp, buildTcp } from '../../../src/linux/net/wire/segments.ts'
import { pcapOf } from '../../../src/scenario/pcap.ts'

const mac = new Uint8Array(6)
const ends = { sourceMac: mac, targetMac: mac, source: 0x0a000001, target: 0x0a000002 }
const syn = buildTcp(
  ends,
  {
    sourcePort: 1000,
    targetPort: 80,
    seq: 7,
    ack: 0,
    flags: 2,
    window: 64240,
    options: { mss: 1460 },
    payload: new Uint8Array(0),
  },
  1,
)

describe('a frame', () => {
  test('of TCP', () => {
    expect(frame_text(syn)).toBe('IP 10.0.0.1.1000 > 10.0.0.2.80: Flags [S], seq 7, win 64240, length 0')
  })
  test('of ARP', () => {
    const arp = buildArp({ operation: ARP_REQUEST, senderMac: mac, sender: 1, targetMac: mac, target: 2 })
    expect(frame_text(arp)).toBe('ARP, Request who-has 0.0.0.2 tell 0.0.0.1')
  })
  test.each([0, 13, 14, 20, 33, 40, 53])('cut off after %i bytes is still a line', (length) => {
    expect(frame_text(syn.subarray(0, length))).toMatch(/^.+$/)
  })
})

describe('a capture', () => {
  const frame = { number: 1, atNs: 5, device: 'x', direction: 'in', bytes: syn } as const
  test('gives its frames back with their times', () => {
    const frames = [...pcap_frames(pcapOf([frame, { ...frame, number: 2, atNs: 9 }], 1_000_000_000n))]
    expect(frames.map(({ time }) => time)).toEqual([1_000_000_005n, 1_000_000_009n])
    expect(Buffer.from(frames[1]?.bytes ?? []).equals(syn)).toBe(true)
  })
  test('is empty', () => {
    expect([...pcap_frames(pcapOf([], 0n))]).toEqual([])
  })
  test.each([0, 10, 30, 60])('cut to %i bytes is damaged', (length) => {
    expect(() => [...pcap_frames(pcapOf([frame], 0n).subarray(0, length))]).toThrow('expected a capture')
  })
})
