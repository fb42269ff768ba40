/** `explain` on a real machine's sockets: which end is foreign, as the guest's own record has it. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { explainDescriptor } from '../../src/explain/explain.ts'
import type { Explanation, Side } from '../../src/explain/facts.ts'
import { find_task } from '../../src/helpers/pid.ts'
import { inet_end_text } from '../../src/helpers/sock.ts'
import { hasReal, textFolder } from './dumps.ts'
import { realTarget } from './parity.ts'
import { lineOf, procLines, socketInode } from './proc-net.ts'

const TCP = ['proc/net/tcp', 'proc/net/tcp6', 'client-net-tcp.txt', 'client-net-tcp6.txt']
const UDP = ['proc/net/udp', 'proc/net/udp6', 'client-net-udp.txt']

async function explained(pid: number, fd: number): Promise<Explanation> {
  const target = await realTarget('dev')
  const task = find_task(target, pid)
  if (task === null) throw new Error(`no task ${pid}`)
  return explainDescriptor(target, task, fd)
}

/** The end on one side, out of the members that are said to hold it. */
function endOf({ fields }: Explanation, side: Side): string {
  const values = (pattern: RegExp): string[] => [
    ...new Set(fields.filter((f) => f.side === side && pattern.test(f.member)).map(({ value }) => value)),
  ]
  const [addr, ...others] = values(/addr$/)
  const [port, ...ports] = values(/port$|num$/)
  // two members of one side that differ would be two ends
  expect([...others, ...ports]).toEqual([])
  return addr === undefined || port === undefined ? '' : inet_end_text({ addr, port: Number(port) })
}

describe.skipIf(!hasReal)('explain on the real dev dump', () => {
  test.each([
    [133, 4, 'accepted by ncat', TCP],
    [133, 5, 'accepted by ncat', TCP],
    [161, 4, 'IPv6', TCP],
    [176, 3, 'not answered yet', TCP],
    [165, 3, 'UDP', UDP],
  ])('pid %d fd %d (%s): both ends are those of /proc/net', async (pid, fd, _, tables) => {
    const line = lineOf('dev', pid, fd, tables)
    const explanation = await explained(pid, fd)
    expect(explanation.damage).toEqual([])
    expect(endOf(explanation, 'foreign')).toBe(line.remote)
    expect(endOf(explanation, 'local')).toBe(line.local)
    if (tables === TCP) expect(explanation.state).toBe(line.state)
    expect(explanation.headline).toContain(line.remote)
    expect(explanation.headline).toMatch(/foreign end/)
  })

  test('pid 176 is in SYN_SENT', async () => {
    expect((await explained(176, 3)).state).toBe('SYN_SENT')
  })

  test('pid 148: the connections that wait to be accepted', async () => {
    const listener = lineOf('dev', 148, 3, TCP)
    const { kind, waiting, fields } = await explained(148, 3)
    expect(kind).toBe('listener')
    expect(fields.filter(({ side }) => side === 'foreign')).toEqual([])
    const expected = procLines('dev', TCP).filter(
      ({ local, inode, state }) => local === listener.local && inode === 0 && state !== 'LISTEN',
    )
    expect(expected).toHaveLength(listener.receive)
    const ready = waiting.filter((each) => each.kind === 'ready')
    expect(ready.map(({ child, remote }) => [child, remote]).sort()).toEqual(
      expected.map(({ sock, remote }) => [sock, remote]).sort(),
    )
  })

  test('pid 161: a listener of IPv6 has no foreign end', async () => {
    const line = lineOf('dev', 161, 3, TCP)
    const explanation = await explained(161, 3)
    expect(explanation.kind).toBe('listener')
    expect(endOf(explanation, 'local')).toBe(line.local)
    expect(endOf(explanation, 'foreign')).toBe('')
  })

  test('pid 163: a UNIX socket has neither end', async () => {
    const explanation = await explained(163, 4)
    const inode = socketInode('dev', 163, 4)
    const lines = readFileSync(join(textFolder('dev', 'truth'), 'proc/net/unix'), 'latin1').split('\n')
    const words = lines.map((line) => line.trim().split(/\s+/)).find((each) => Number(each[6]) === inode)
    expect(explanation.kind).toBe('unix')
    expect(`${explanation.sk.toString(16)}:`).toBe(words?.[0])
    expect(explanation.fields).toEqual([])
    if (words?.[7] !== undefined) expect(explanation.headline).toContain(words[7])
  })
})
