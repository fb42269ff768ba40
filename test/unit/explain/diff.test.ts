/** What changed between two moments: named by object and member, with the function that stored it. */

import { describe, expect, test } from 'vitest'
import { addr } from '../../../src/base/addr.ts'
import { changedLeaves } from '../../../src/explain/diff/leaves.ts'
import { diffMemory } from '../../../src/explain/diff/memory.ts'
import { crash, recordedTarget } from '../../support/recorded.ts'

const SCENARIO = 'reset-and-timewait'

describe('members', () => {
  const { types } = recordedTarget(SCENARIO)
  const type = types.struct('sock_common')
  const blank = (): Uint8Array => new Uint8Array(types.sizeof(type))
  const changed = (edit: (bytes: Uint8Array) => void): string[] => {
    const after = blank()
    edit(after)
    return [...changedLeaves(types, type, blank(), after)].map(({ path }) => path)
  }

  test('nothing changed: none', () => {
    expect(changed(() => undefined)).toEqual([])
  })
  test('one byte: the member it lies in', () => {
    expect(changed((bytes) => (bytes[types.offsetof('sock_common', 'skc_state')] = 1))).toEqual(['skc_state'])
  })
  test('one bit: the bit-field, not its neighbours', () => {
    const byte = types.offsetof('sock_common', 'skc_state') + 1
    expect(changed((bytes) => (bytes[byte] = 0x10))).toEqual(['skc_reuseport'])
    expect(changed((bytes) => (bytes[byte] = 0x30))).toEqual(['skc_reuseport', 'skc_ipv6only'])
  })
  test('bytes with several names: the first', () => {
    const found = changed((bytes) => bytes.fill(1, types.offsetof('sock_common', 'skc_daddr'), 8))
    expect(found).toHaveLength(1)
  })
  test('bytes of a shorter object are compared as far as they go', () => {
    expect([...changedLeaves(types, type, new Uint8Array(4), new Uint8Array(4).fill(1))]).not.toEqual([])
  })
})

describe('two snapshots', () => {
  const target = recordedTarget(SCENARIO)
  const [first, second] = target.snapshots.map(({ name }) => name) as [string, string]

  test('the same one: nothing differs', () => {
    expect(diffMemory(target.at(first), target.at(first))).toMatchObject({ pagesChanged: 0, objects: [] })
  })

  test('every change of a typed object reads back from both memories, and its writer was running then', () => {
    const [before, after] = [target.at(first), target.at(second)]
    const { objects, pagesChanged } = diffMemory(before, after)
    expect(pagesChanged).toBeGreaterThan(5)
    const socks = objects.filter(({ object }) => object === 'tcp_sock')
    expect(socks.length).toBeGreaterThan(0)
    for (const { members } of socks) {
      const state = members.find(({ path }) => path.endsWith('skc_state'))
      if (state === undefined) continue
      const { mem } = after
      expect(String(mem.u8(Number(BigInt.asIntN(64, addr(state.address)))))).toBe(state.after)
      expect(state.writer?.function).toMatch(/^\w+$/)
    }
    const steps = objects.flatMap(({ members }) => members.map(({ writer }) => writer?.step ?? Infinity))
    expect(Math.min(...steps)).toBeGreaterThan(before.snapshot?.step ?? 0)
  })

  test('the command names object, member, both values, function and step', async () => {
    const text = await crash(target.at(second), `diff ${first} --only tcp_sock`)
    expect(text).toMatch(
      /^ {2}\S*__sk_common\.skc_state +\d+ -> \d+ +by \w+, step (\d+)\n[\s\S]*^step \1 is connect: /m,
    )
  })

  test('an unknown snapshot is one line that names those there are', async () => {
    expect(await crash(target, 'diff nowhere')).toMatch(/^diff: .*no snapshot nowhere: it has .*\n$/)
  })
})
