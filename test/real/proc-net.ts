/** The guests' own tables of sockets, as they wrote them down before the dump was made. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ipv4_text, ipv6_text } from '../../src/helpers/inet-address.ts'
import { inet_end_text, tcp_state_name } from '../../src/helpers/sock.ts'
import { textFolder, type DumpName } from './dumps.ts'

/** A line of the guest's own table of sockets. */
export interface ProcLine {
  readonly sock: bigint
  readonly local: string
  readonly remote: string
  readonly state: string
  readonly send: number
  readonly receive: number
  readonly inode: number
}

/** `0138A8C0:2710` or 32 digits: words as the CPU loads them. */
function end(text: string): string {
  const [address = '', port = ''] = text.split(':')
  const words = (address.match(/.{8}/g) ?? []).map((word) => parseInt(word, 16))
  const halves = words.flatMap((w) => [
    ((w & 0xff) << 8) | ((w >>> 8) & 0xff),
    ((w >>> 8) & 0xff00) | (w >>> 24),
  ])
  const addr = words.length === 1 ? ipv4_text(words[0] as number) : ipv6_text(halves)
  return inet_end_text({ addr, port: parseInt(port, 16) })
}

/** The lines of tables that the guest wrote down: `/proc/net/tcp` and the like. Tables it lacks have none. */
export function procLines(dump: DumpName, names: readonly string[]): ProcLine[] {
  const folder = textFolder(dump, 'truth')
  const files = names.map((name) => join(folder, name)).filter((path) => existsSync(path))
  return files.flatMap((path) => {
    const lines = readFileSync(path, 'latin1').trimEnd().split('\n').slice(1)
    return lines.map((line) => {
      const words = line.trim().split(/\s+/)
      const [, local = '', remote = '', st = '', queues = ''] = words
      const [send = '', receive = ''] = queues.split(':')
      return {
        sock: BigInt(`0x${/ (ffff[0-9a-f]{12})\b/.exec(line)?.[1] ?? '0'}`),
        local: end(local),
        remote: end(remote),
        state: tcp_state_name(parseInt(st, 16)),
        send: parseInt(send, 16),
        receive: parseInt(receive, 16),
        inode: Number(words[9]),
      }
    })
  })
}

/** The inode of the socket at a task's descriptor, by `/proc/PID/fd`. @throws Error when it is none */
export function socketInode(dump: DumpName, pid: number, fd: number): number {
  const text = readFileSync(join(textFolder(dump, 'truth'), `pid/${pid}/fd`), 'latin1')
  const found = new RegExp(` ${fd} -> socket:\\[(\\d+)\\]`).exec(text)?.[1]
  if (found === undefined) throw new Error(`descriptor ${fd} of ${pid} is no socket`)
  return Number(found)
}

/** The line of the socket at a task's descriptor. @throws Error when no table has it */
export function lineOf(dump: DumpName, pid: number, fd: number, tables: readonly string[]): ProcLine {
  const inode = socketInode(dump, pid, fd)
  const line = procLines(dump, tables).find((each) => each.inode === inode)
  if (line === undefined) throw new Error(`no table has inode ${inode}`)
  return line
}
