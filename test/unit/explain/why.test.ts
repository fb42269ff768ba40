/** `why`: from a member back to the byte of a packet, on a dump whose every store is known. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { whyReport, type WhyRow } from '../../../src/crash/why-text.ts'
import { lineage } from '../../../src/explain/lineage.ts'
import { framesOf } from '../../../src/explain/packets.ts'
import { memberAt } from '../../../src/explain/place.ts'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { word, writeStory } from '../../support/story-dump.ts'
import { SYN } from '../../support/story-dump.ts'

const folder = mkdtempSync(join(tmpdir(), 'why-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'story.cdump')
const story = writeStory(path)
const target = openTargetSync(path)

const rowOf = (of: Target, expression: string, size?: string): WhyRow =>
  (whyReport(of, [expression], size).rows as WhyRow[])[0] as WhyRow
const textOf = (of: Target, expression: string, size?: string): string =>
  whyReport(of, [expression], size).text as string
const PEER = `((struct sock *)0x${word(story.child)})->__sk_common.skc_daddr`

describe('the chain of a connection’s peer address', () => {
  test('child, request_sock, buffer, packet: each with its function, step and member', () => {
    const [run] = rowOf(target, PEER).runs
    expect(run).toMatchObject({
      address: BigInt.asUintN(64, BigInt(story.child)),
      size: 4,
      bytes: 'c0a83865',
    })
    expect(
      run?.stores.map((s) => [s.function, s.step, s.stepName, s.source, s.place?.object, s.place?.alias]),
    ).toEqual([
      ['inet_csk_clone_lock', 2, 'established', 'memory', 'tcp_sock', 'inet_daddr'],
      ['tcp_v4_init_req', 1, 'connect', 'memory', 'tcp_request_sock', 'ir_rmt_addr'],
      ['e1000_clean_rx_irq', 1, 'connect', 'packet', 'kmalloc-512', undefined],
    ])
    expect(run?.stores[0]?.value).toBe(0x6538a8c0n)
    expect(run?.stores[0]?.place?.member).toBe('inet_conn.icsk_inet.sk.__sk_common.skc_daddr')
    expect(run?.stores[0]?.fromPlace?.address).toBe(BigInt.asUintN(64, BigInt(story.req)))
  })

  test('it ends at the byte of the frame, named by its header', () => {
    expect(rowOf(target, PEER).runs[0]?.stores.at(-1)).toMatchObject({
      frame: 1,
      offset: 26,
      field: { protocol: 'IPv4', name: 'source address', member: 'saddr', value: '192.168.56.101' },
      packet: '192.168.56.101:40000 > 192.168.56.1:9999 TCP SYN',
    })
  })

  test('as text', () => {
    const plain = textOf(target, PEER)
      .replaceAll(word(story.child), 'CHILD')
      .replaceAll(word(story.req), 'REQ')
      .replaceAll(word(story.buffer + 26), 'BUFFER+26')
    expect(plain).toMatchInlineSnapshot(`
      "CHILD  tcp_sock inet_conn.icsk_inet.sk.__sk_common.skc_daddr (inet_daddr)  (__be32, 4 bytes)
        holds c0 a8 38 65
        1.  step 2 "established": inet_csk_clone_lock (net/inet_csk_clone_lock.c) stored 0x6538a8c0
            copied from REQ  tcp_request_sock req.req.__req_common.skc_daddr (ir_rmt_addr)
        2.  step 1 "connect": tcp_v4_init_req (net/tcp_v4_init_req.c) stored 0x6538a8c0
            copied from BUFFER+26  kmalloc-512+0x1a
        3.  step 1 "connect": e1000_clean_rx_irq (net/e1000_clean_rx_irq.c) stored 54 bytes
            from byte 26 of frame 1 (eth0 in: 192.168.56.101:40000 > 192.168.56.1:9999 TCP SYN), the IPv4 source address 192.168.56.101
      "
    `)
  })

  test('a byte inside a field is followed to its own byte', () => {
    const run = rowOf(target, word(story.child + 3)).runs[0]
    expect(run).toMatchObject({ size: 1, bytes: '65' })
    expect(run?.stores.at(-1)?.offset).toBe(29)
  })

  test('at an earlier snapshot later stores have not happened', () => {
    // but for zeros of the allocator
    expect(rowOf(target.at('syn'), PEER).runs[0]?.stores.filter(({ step }) => step > 0)).toEqual([])
    const req = rowOf(target.at('syn'), word(story.req), '4').runs[0]
    expect(req?.stores.map((s) => s.function)).toEqual(['tcp_v4_init_req', 'e1000_clean_rx_irq'])
  })
})

describe('what can be asked', () => {
  test('a larger object: one run for each store, by address', () => {
    const { runs } = rowOf(target, word(story.child), '20')
    expect(
      runs.map((run) => [Number(run.address - BigInt.asUintN(64, BigInt(story.child))), run.size]),
    ).toEqual([
      [0, 4],
      [4, 10],
      [14, 2],
      [16, 2],
      [18, 1],
      [19, 1],
    ])
    expect(runs[2]?.stores[0]).toMatchObject({ source: 'syscall', offset: 1, value: 9999n })
    expect(textOf(target, word(story.child), '20')).toContain('from argument 1 of the system call')
  })

  test('a pointer asks about what it points to', () => {
    const row = rowOf(target, `&((struct sock *)0x${word(story.child)})->__sk_common.skc_daddr`)
    expect(row).toMatchObject({ size: 4, type: '__be32' })
  })

  test.each([
    ['1 + 1.5', undefined, 'BAD_ARGUMENT'],
    ['init_task', '0', 'BAD_ARGUMENT'],
    ['init_task', '65537', 'BAD_ARGUMENT'],
    ['8000000000000000', undefined, 'BAD_ARGUMENT'],
    ['no_such_variable', undefined, 'NO_SYMBOL'],
  ])('%s (size %s): %s', (expression, size, code) => {
    expect(() => whyReport(target, [expression], size)).toThrow(expect.objectContaining({ code }))
  })
})

describe('dumps that know less', () => {
  const open = (name: string, omit: readonly string[]): Target => {
    writeStory(join(folder, name), omit)
    return openTargetSync(join(folder, name))
  }

  test('without a journal: one clear error', () => {
    const bare = open('bare.cdump', ['journal'])
    expect(() => whyReport(bare, [PEER], undefined)).toThrow(expect.objectContaining({ code: 'NO_JOURNAL' }))
    expect(lineage(bare, story.child)).toEqual([])
  })

  test('without names and capture: numbers', () => {
    const terse = open('terse.cdump', ['functions', 'steps', 'packets', 'frames'])
    expect(framesOf(terse)).toEqual([])
    const last = rowOf(terse, PEER).runs[0]?.stores.at(-1)
    expect(last).toMatchObject({ function: 'machine', stepName: '', frame: 1, offset: 26, field: undefined })
    expect(textOf(terse, PEER)).toContain('from byte 26 of frame 1\n')
  })

  test('with them, the frames are those captured', () => {
    expect(framesOf(target).map((frame) => Buffer.from(frame).equals(SYN))).toEqual([true])
  })
})

test.each([
  ['sock', 0, 4, '__sk_common.skc_daddr'],
  ['sock', 0, 8, '__sk_common.skc_addrpair'],
  ['sock', 18, 1, '__sk_common.skc_state'],
  ['task_struct', 0, 8, 'thread_info.flags'],
  ['list_head', 9, 1, 'prev'],
  ['sk_buff', 0, 8, 'next'],
  ['sock', 0, 2, '__sk_common.skc_daddr'],
  ['sock', 0, 136, '__sk_common'],
  ['task_struct', 0, 64, undefined],
  ['task_struct', 0x28, 4, 'usage'],
])('the member of %s at %i of %i bytes: %s', (struct, offset, size, path) => {
  expect(memberAt(target.types, target.types.struct(struct), offset, size)).toBe(path)
})
