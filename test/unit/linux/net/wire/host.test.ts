/** Hosts on the wire: their TCP against each other, through a card that passes every frame on. */

import { beforeEach, describe, expect, test } from 'vitest'
import { Clock } from '../../../../../src/linux/clock.ts'
import type { Kernel } from '../../../../../src/linux/kernel.ts'
import { Host } from '../../../../../src/linux/net/wire/host.ts'
import {
  buildTcp,
  checksum,
  decodeOptions,
  encodeOptions,
  flagNames,
  parseTcp,
} from '../../../../../src/linux/net/wire/segments.ts'
import { wire } from '../../../../../src/linux/net/wire/wire.ts'

let k: Kernel
let a: Host
let b: Host

const host = (name: string, address: string, last: number, silent = false): Host =>
  new Host(k, {
    name,
    address,
    mac: Uint8Array.from([2, 0, 0, 0, 0, last]),
    device: 'x0',
    delayNs: 1000,
    silent,
    seed: 1,
  })

/** Let everything happen that is due within `ms`. */
function run(ms = 50): void {
  const limit = k.clock.nowNs + ms * 1e6
  for (let event = k.clock.take(limit); event !== undefined; event = k.clock.take(limit)) event.run()
  k.clock.moveTo(limit)
}

/** `SYN`, `SYN|ACK` … of every TCP frame that reached the card. */
const flags = (): string[] =>
  wire(k)
    .frames.filter(({ direction }) => direction === 'in')
    .flatMap(({ bytes }) => {
      const segment = parseTcp(bytes)
      return segment === undefined ? [] : [flagNames(segment.flags).join('|')]
    })

beforeEach(() => {
  k = { clock: new Clock() } as unknown as Kernel
  wire(k).attach({
    name: 'x0',
    mac: Uint8Array.from([2, 0, 0, 0, 0, 99]),
    receive: ({ bytes }) => wire(k).send('x0', bytes),
  })
  a = host('a', '10.0.0.1', 1)
  b = host('b', '10.0.0.2', 2)
})

describe('a connection', () => {
  test('opens, carries bytes both ways, closes', () => {
    b.listen(80)
    const c = a.connect('10.0.0.2', 80)
    run()
    expect(flags()).toEqual(['SYN', 'SYN|ACK', 'ACK'])
    const [d] = b.connections
    expect([c.state, d?.state]).toEqual(['established', 'established'])
    c.send(Buffer.from('hello'))
    d?.send(Buffer.from('x'.repeat(4000)))
    run()
    expect(Buffer.from(d?.received ?? []).toString()).toBe('hello')
    expect(c.received).toHaveLength(4000)
    c.close()
    run()
    expect([c.state, d?.state]).toEqual(['fin-wait-2', 'close-wait'])
    d?.close()
    run()
    expect([c.state, d?.state]).toEqual(['time-wait', 'closed'])
    expect(d?.error).toBeUndefined()
  })

  test('to a port nobody listens on is refused', () => {
    const c = a.connect('10.0.0.2', 81)
    run()
    expect([c.state, c.error]).toEqual(['closed', 'refused'])
    expect(flags()).toEqual(['SYN', 'RST|ACK'])
  })

  test('held: the SYN-ACK stays unanswered until complete()', () => {
    b.listen(80)
    const c = a.connect('10.0.0.2', 80, { hold: true })
    run()
    expect(c.state).toBe('syn-sent')
    expect(b.connections[0]?.state).toBe('syn-received')
    expect(c.complete()).toBe(true)
    run()
    expect(b.connections[0]?.state).toBe('established')
  })

  test('reset: the other end learns of it', () => {
    b.listen(80)
    const c = a.connect('10.0.0.2', 80)
    run()
    c.reset()
    run()
    expect(b.connections[0]).toMatchObject({ state: 'closed', error: 'reset' })
  })

  test('lost frames are sent again after one second (SYN) and 200 ms (data)', () => {
    b.listen(80)
    let losses = 1
    wire(k).lose = ({ direction, bytes }) =>
      direction === 'in' && parseTcp(bytes) !== undefined && losses-- > 0
    const c = a.connect('10.0.0.2', 80)
    run(990)
    expect(flags()).toEqual(['SYN'])
    run(100)
    expect(c.state).toBe('established')
    losses = 1
    c.send(Buffer.from('again'))
    run(100)
    expect(b.connections[0]?.received).toHaveLength(0)
    run(200)
    expect(Buffer.from(b.connections[0]?.received ?? []).toString()).toBe('again')
  })

  test('to a silent host gives up in the end', () => {
    const silent = host('s', '10.0.0.3', 3, true)
    expect(silent.ip).toBe(0x0a000003)
    const c = a.connect('10.0.0.3', 80)
    run(300_000)
    expect(c.error).toBe('timed-out')
  })

  test('the same seed gives the same numbers, another name others', () => {
    const again = host('a', '10.0.0.1', 1)
    expect(again.random.u32()).toBe(a.random.u32())
    expect(b.random.u32()).not.toBe(a.random.u32())
  })
})

describe('segments', () => {
  const ends = {
    sourceMac: new Uint8Array(6),
    targetMac: new Uint8Array(6),
    source: 0x0a000001,
    target: 0x0a000002,
  }
  const segment = { sourcePort: 1, targetPort: 2, seq: 0xffffffff, ack: 5, flags: 0x12, window: 64240 }

  test('a SYN has its options in the order and padding of Linux: 20 bytes', () => {
    const options = { mss: 1460, sackPermitted: true, windowScale: 7, timestamps: { value: 1, echo: 0 } }
    expect(Buffer.from(encodeOptions(options)).toString('hex')).toBe(
      '020405b40402080a000000010000000001030307',
    )
    expect(decodeOptions(encodeOptions(options))).toEqual(options)
  })

  test('without timestamps: NOPs before SACK', () => {
    const options = { mss: 1460, sackPermitted: true, windowScale: 7 }
    expect(Buffer.from(encodeOptions(options)).toString('hex')).toBe('020405b40101040201030307')
  })

  test('what is built is read back, and its checksums are right', () => {
    const given = { ...segment, options: {}, payload: new Uint8Array(Buffer.from('odd')) }
    const frame = buildTcp(ends, given, 7)
    expect(parseTcp(frame)).toMatchObject({ ...given, ...ends })
    expect(checksum(frame.subarray(14, 34))).toBe(0)
    expect(checksum(frame.subarray(34), 0x0a00 + 1 + 0x0a00 + 2 + 6 + 23)).toBe(0)
  })

  test.each([
    ['cut off', 53],
    ['cut in the header', 40],
    ['empty', 0],
  ])('%s: no segment', (_title, length) => {
    expect(
      parseTcp(
        buildTcp(ends, { ...segment, options: {}, payload: new Uint8Array(0) }, 7).subarray(0, length),
      ),
    ).toBeUndefined()
  })

  test('options that lie about their length end the list', () => {
    expect(decodeOptions(Uint8Array.of(8, 200, 1, 1))).toEqual({})
    expect(decodeOptions(Uint8Array.of(2, 0))).toEqual({})
    expect(decodeOptions(Uint8Array.of(2))).toEqual({})
  })
})
