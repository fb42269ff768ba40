/** `net --all` on real dumps against the guests' own /proc/net/tcp, tcp6 and udp: every socket, state and queue. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { allSocketsReport, type InetSocketJson } from '../../src/crash/net-all.ts'
import { for_each_socket } from '../../src/helpers/sock.ts'
import { task_table } from '../../src/helpers/tasks.ts'
import { hasReal, textFolder } from './dumps.ts'
import { realTarget } from './parity.ts'
import { procLines, type ProcLine } from './proc-net.ts'

/** Our row in the same shape; a TIME_WAIT shows the state it stands for, as /proc does. */
function asProc(row: InetSocketJson): Omit<ProcLine, 'inode'> {
  return {
    sock: row.sock,
    local: row.local,
    remote: row.remote,
    state: /\((\w+)\)/.exec(row.state)?.[1] ?? row.state,
    send: row.acceptQueueMax === undefined ? (row.sendBytes ?? 0) : 0,
    receive: row.acceptQueue ?? row.receiveBytes ?? 0,
  }
}

const bySock = (a: { sock: bigint }, b: { sock: bigint }): number => (a.sock < b.sock ? -1 : 1)

describe.skipIf(!hasReal)('net --all on real dumps', () => {
  test.each(['dev', 'panic'] as const)(
    '%s: TCP is what /proc/net/tcp showed in both namespaces',
    async (dump) => {
      const names = ['proc/net/tcp', 'proc/net/tcp6', 'client-net-tcp.txt', 'client-net-tcp6.txt']
      const expected = procLines(dump, names)
        .map(({ inode: _, ...line }) => line)
        .sort(bySock)
      const rows = allSocketsReport(await realTarget(dump)).rows as InetSocketJson[]
      const found = rows.filter(({ protocol }) => protocol === 'TCP').map(asProc)
      expect(found.sort(bySock)).toEqual(expected)
    },
  )

  test.each(['dev', 'panic'] as const)('%s: UDP sockets and their ends', async (dump) => {
    const ends = ({ sock, local, remote }: Omit<ProcLine, 'inode'>): object => ({ sock, local, remote })
    const expected = procLines(dump, ['proc/net/udp', 'proc/net/udp6', 'client-net-udp.txt']).sort(bySock)
    const rows = allSocketsReport(await realTarget(dump)).rows as InetSocketJson[]
    const found = rows.filter(({ protocol }) => protocol === 'UDP').map(asProc)
    expect(found.sort(bySock).map(ends)).toEqual(expected.map(ends))
  })

  test('dev: connections that nobody accepted name their listener, and no owner', async () => {
    const rows = allSocketsReport(await realTarget('dev')).rows as InetSocketJson[]
    const waiting = rows.filter(({ kind, listener }) => kind === 'full' && listener !== undefined)
    expect(waiting.map(({ local, state, owners }) => [local, state, owners])).toEqual([
      ['192.168.56.1:10002', 'ESTABLISHED', []],
      ['192.168.56.1:10002', 'CLOSE_WAIT', []],
    ])
  })

  test.each(
    (['dev', 'panic'] as const).flatMap((dump) =>
      (['unix', 'raw', 'packet', 'netlink'] as const).map((name) => [dump, name] as const),
    ),
  )('%s: the socks of /proc/net/%s', async (dump, name) => {
    const text = readFileSync(join(textFolder(dump, 'truth'), 'proc/net', name), 'latin1')
    const expected = text.split('\n').flatMap((line) => /\bffff[0-9a-f]{12}\b/.exec(line)?.[0] ?? [])
    const target = await realTarget(dump)
    const rows = allSocketsReport(target).rows as InetSocketJson[]
    const found = rows.filter(
      ({ protocol, net, onlyInDescriptors }) =>
        protocol === name.toUpperCase() && net === target.sym('init_net') && onlyInDescriptors !== true,
    )
    expect(found.map(({ sock }) => sock.toString(16)).sort()).toEqual(expected.sort())
  })

  test.each(['dev', 'panic'] as const)('%s: every sock of a descriptor has a row', async (dump) => {
    const target = await realTarget(dump)
    const rows = allSocketsReport(target).rows as InetSocketJson[]
    const known = new Set(rows.map(({ sock }) => sock))
    for (const { task } of task_table(target).tasks)
      for (const { sk } of for_each_socket(task)) if (sk !== null) expect(known).toContain(sk.$addr)
  })
})
