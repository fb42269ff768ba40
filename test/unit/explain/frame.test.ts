/** Bytes of frames by name. */

import { describe, expect, test } from 'vitest'
import { frameField, frameSummary } from '../../../src/explain/frame.ts'
import { SYN } from '../../support/story-dump.ts'

const bytes = (...parts: string[]): Uint8Array =>
  Uint8Array.from(Buffer.from(parts.join('').replaceAll(' ', ''), 'hex'))

const ETHERNET = '0a0000000001 0a0000000065'
const ARP = bytes(ETHERNET, '0806 0001 0800 06 04 0001 0a0000000065 c0a83865 000000000000 c0a83801')
const OPTIONS = bytes(
  ETHERNET,
  '0800 4600 0038 0001 4000 40 06 0000 c0a83865 c0a83801 01010101',
  '9c40 270f 00000001 00000000 90 12 ffff 0000 0000 020405b4 0402 01 030307 080a 0000000100000002 00 6869',
)
const UDP6 = bytes(ETHERNET, '86dd 60000000 000a 11 40', 'fe80', '00'.repeat(13), '01', 'ff02', '00'.repeat(13), '01', '0035 1000 000a 0000 6869') // prettier-ignore

describe('the field a byte belongs to', () => {
  test.each([
    [SYN, 0, 'Ethernet', 'destination address', '0a:00:00:00:00:01'],
    [SYN, 13, 'Ethernet', 'type', '0x0800'],
    [SYN, 26, 'IPv4', 'source address', '192.168.56.101'],
    [SYN, 29, 'IPv4', 'source address', '192.168.56.101'],
    [SYN, 30, 'IPv4', 'destination address', '192.168.56.1'],
    [SYN, 34, 'TCP', 'source port', '40000'],
    [SYN, 37, 'TCP', 'destination port', '9999'],
    [SYN, 41, 'TCP', 'sequence number', '1'],
    [SYN, 47, 'TCP', 'flags', 'SYN'],
    [ARP, 28, 'ARP', 'sender address', '192.168.56.101'],
    [ARP, 41, 'ARP', 'target address', '192.168.56.1'],
    [OPTIONS, 34, 'IPv4', 'options', '01'],
    [OPTIONS, 38, 'TCP', 'source port', '40000'],
    [OPTIONS, 60, 'TCP', 'option maximum segment size', '1460'],
    [OPTIONS, 67, 'TCP', 'option window scale', '7'],
    [OPTIONS, 70, 'TCP', 'option timestamps', '1, 2'],
    [UDP6, 22, 'IPv6', 'source address', 'fe80::1'],
    [UDP6, 54, 'UDP', 'source port', '53'],
    [UDP6, 63, 'UDP', 'data, byte 1', '69'],
  ] as const)('%#', (frame, offset, protocol, name, value) => {
    expect(frameField(frame, offset)).toMatchObject({ protocol, name, value })
  })

  test('beyond the end there is none', () => {
    expect(frameField(SYN, SYN.length)).toBeUndefined()
    expect(frameField(SYN, -1)).toBeUndefined()
  })

  test('a frame cut anywhere still names the bytes it has', () => {
    for (const frame of [SYN, ARP, OPTIONS, UDP6]) {
      for (let length = 1; length < frame.length; length++) {
        const cut = frame.subarray(0, length)
        expect(frameField(cut, length - 1)).toBeDefined()
        expect(frameSummary(cut)).toBeTypeOf('string')
      }
    }
  })
})

test('frames in words', () => {
  expect([SYN, ARP, OPTIONS, UDP6].map(frameSummary)).toEqual([
    '192.168.56.101:40000 > 192.168.56.1:9999 TCP SYN',
    '0a:00:00:00:00:65 > 0a:00:00:00:00:01 ARP',
    '192.168.56.101:40000 > 192.168.56.1:9999 TCP SYN,ACK',
    '[fe80::1]:53 > [ff02::1]:4096 UDP',
  ])
})
