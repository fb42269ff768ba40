/** What is said about sockets: on structs placed by hand, and on every kind of socket of a real kernel. */

import { beforeEach, describe, expect, test } from 'vitest'
import { toVa } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { explainDescriptor, explainSock, socketDescriptors } from '../../../src/explain/explain.ts'
import type { Explanation } from '../../../src/explain/facts.ts'
import { explanationText } from '../../../src/explain/text.ts'
import { find_task } from '../../../src/helpers/pid.ts'
import { ehash_for_each } from '../../../src/helpers/tcp.ts'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { dumpPath, hasReal } from '../../real/dumps.ts'
import { FlatTarget } from '../../support/flat-target.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const IPPROTO_TCP = 6
const be32 = (text: string): number =>
  text.split('.').reduceRight((word, part) => word * 256 + Number(part), 0)

/** A flat kernel that answers what explain asks of a target; it has no network devices, modules or history. */
class ExplainTarget extends FlatTarget {
  readonly path = 'flat'
  readonly container = {}
  readonly snapshot = undefined
  section = (): undefined => undefined
  ref(struct: string, at: number | bigint): StructRef {
    return this.types.ref(struct, this.mem, typeof at === 'bigint' ? toVa(at) : at)
  }
  readonly symbols = { find: () => undefined, findKernel: () => undefined, modules: [] }
  symbolize = (): undefined => undefined
}

describe('a connection placed by hand', () => {
  let flat: ExplainTarget
  let sk: StructRef
  beforeEach(() => {
    flat = new ExplainTarget()
    sk = flat.openSocket(4).sk
    const sock = sk.$cast('sock')
    sock.$set('__sk_common.skc_family', AF_INET)
    sock.$set('__sk_common.skc_state', 1)
    sock.$set('sk_type', SOCK_STREAM)
    sock.$set('sk_protocol', IPPROTO_TCP)
    sock.$set('__sk_common.skc_daddr', be32('192.168.56.101'))
    sock.$set('__sk_common.skc_rcv_saddr', be32('192.168.56.1'))
    sock.$set('__sk_common.skc_dport', 0x409c)
    sock.$set('__sk_common.skc_num', 9999)
  })
  const explain = (): Explanation => explainDescriptor(flat.target, flat.task, 4)

  test('the way: each step starts where the one before led, and says where it was read', () => {
    const { steps } = explain()
    expect(steps.map(({ member }) => member)).toEqual([
      'files',
      'fdt',
      'fd[4]',
      'f_path.dentry',
      'f_inode',
      'SOCKET_I(inode)',
      'private_data',
      'sk',
    ])
    expect(steps.at(-1)?.value).toBe(sk.$addr)
    for (const { at, value, member } of steps) {
      if (member !== 'SOCKET_I(inode)') expect(flat.mem.word(toVa(at)), member).toBe(value)
    }
  })

  test('the members: bytes as in memory, values as people write them', () => {
    const fields = new Map(explain().fields.map((field) => [field.member, field]))
    expect(fields.get('__sk_common.skc_daddr')).toMatchObject({
      bytes: 'c0 a8 38 65',
      value: '192.168.56.101',
    })
    expect(fields.get('__sk_common.skc_dport')).toMatchObject({
      order: 'network',
      bytes: '9c 40',
      value: '40000',
    })
    expect(fields.get('__sk_common.skc_num')).toMatchObject({ order: 'host', bytes: '0f 27', value: '9999' })
  })

  test('what this kernel does not have is named, the rest is told', () => {
    const { damage, kind, state } = explain()
    expect({ kind, state }).toEqual({ kind: 'connection', state: 'ESTABLISHED' })
    expect(damage.length).toBeGreaterThan(0)
    expect(explanationText(explain())).toContain('Could not be read')
  })

  test('the sock is not in the dump: the way to it is told', () => {
    flat.mem.unmap(sk.$va)
    const { steps, damage, fields } = explain()
    expect(steps.at(-1)?.value).toBe(sk.$addr)
    expect(fields).toEqual([])
    expect(damage.join('\n')).toMatch(/^sock: .* at [0-9a-f]{16}/)
  })

  test('a descriptor that is not open, or no socket', () => {
    expect(() => explainDescriptor(flat.target, flat.task, 5)).toThrow(
      expect.objectContaining({ code: 'NO_MEMBER' }),
    )
    flat.open(6, 'plain', flat.inode(0o100644))
    expect(() => explainDescriptor(flat.target, flat.task, 6)).toThrow(
      expect.objectContaining({ code: 'NO_MEMBER' }),
    )
    expect(socketDescriptors(flat.task)).toEqual([4])
  })

  test('a socket whose sock is gone', () => {
    flat.openSocket(7).socket.$set('sk', null)
    expect(explainDescriptor(flat.target, flat.task, 7)).toMatchObject({ sk: 0n, kind: 'other', fields: [] })
  })
})

describe.skipIf(!hasReal)('the sockets of a real kernel', () => {
  let target: Target
  beforeEach(() => {
    target = openTargetSync(dumpPath('dev'))
  })
  const at = (pid: number, fd: number): Explanation => {
    const task = find_task(target, pid)
    if (task === null) throw new Error(`no task ${pid}`)
    return explainDescriptor(target, task, fd)
  }

  test.each([
    [133, 3, 'listener', 'LISTEN', /^listener on 192\.168\.56\.1:10000/],
    [
      133,
      4,
      'connection',
      'ESTABLISHED',
      /192\.168\.56\.1:10000 is this machine, 192\.168\.56\.101:33266 is the fore/,
    ],
    [165, 3, 'udp', 'connected', /connected to 192\.168\.56\.101:40967/],
    [178, 24, 'udp', 'not connected', /not connected/],
    [178, 14, 'unix', 'ESTABLISHED', /no addresses or ports/],
    [178, 29, 'connection', 'ESTABLISHED', /\[::1\]:7703 is this machine, \[::1\]:44796 is this machine too/],
    [178, 30, 'netlink', '', /netlink|NETLINK/i],
    [178, 31, 'packet', '', /packet/i],
    [178, 32, 'raw', '', /^raw socket on 0\.0\.0\.0/],
  ] as const)('PID %i fd %i: %s', (pid, fd, kind, state, headline) => {
    const found = at(pid, fd)
    expect({ kind: found.kind, damage: found.damage }).toEqual({ kind, damage: [] })
    if (kind !== 'unix') expect(found.state).toBe(state)
    expect(found.headline).toMatch(headline)
  })

  test('the member that is compared by mistake is this machine’s own address', () => {
    const { fields } = at(133, 4)
    const side = (member: string) => fields.find((field) => field.member === member)?.side
    expect(side('inet_sock.inet_saddr')).toBe('local')
    expect(side('__sk_common.skc_daddr')).toBe('foreign')
  })

  test('an accepted connection names its listener', () => {
    expect(at(133, 4).birth[0]).toMatchObject({ title: 'listener' })
    expect(at(133, 4).birth[0]?.text).toContain('listens on port 10000')
  })

  test('TIME_WAIT: nothing behind struct inet_timewait_sock is read', () => {
    const remains = [...ehash_for_each(target)].filter(({ kind }) => kind === 'timewait')
    expect(remains.length).toBeGreaterThan(0)
    for (const { sk } of remains) {
      const found = explainSock(target, sk.$va)
      expect(found).toMatchObject({ kind: 'timewait', damage: [], hooks: [], queue: undefined })
      expect(found.fields.map(({ alias }) => alias)).toContain('tw_daddr')
    }
  })
})
