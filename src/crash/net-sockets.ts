/** `net -s` and `net -S`: the sockets among a task's open files. */

import { hex } from '../base/addr.ts'
import type { FaultError, ValidationError } from '../base/errors.ts'
import { ntohs } from '../base/u32.ts'
import type { StructRef } from '../btf/ref.ts'
import { CValue } from '../btf/value.ts'
import { task_fdtable } from '../helpers/fs.ts'
import { in6_groups, ipv4_text, ipv6_full } from '../helpers/inet-address.ts'
import {
  AF_INET,
  AF_INET6,
  family_name,
  for_each_socket,
  inet_addresses,
  sock_type_name,
  tcp_state_name,
  type InetEnd,
  type OpenSocket,
} from '../helpers/sock.ts'
import type { TaskContext } from '../helpers/tasks.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'
import { addressWidth, columnGap } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { TaskAnswer } from './each-task.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { taskHeader } from './task-header.ts'

/** A task in `net -s --json` and `net -S --json`. */
export interface TaskSockets {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  readonly sockets: readonly SocketJson[]
  readonly problem?: string
}

/** A socket in `net -s --json`. Ports in host order. */
export interface SocketJson {
  readonly fd: number
  readonly socket: bigint
  readonly sock: bigint
  readonly family: string
  readonly type: string
  readonly protocol: number
  /** TCP's name for `skc_state`, for internet sockets */
  readonly state?: string
  readonly local?: InetEnd
  readonly remote?: InetEnd
  readonly problem?: string
}

export interface SocketOptions {
  /** every member of `struct socket` and `struct inet_sock` instead of one line */
  readonly whole: boolean
  /** show only the socket with this descriptor, socket or sock address */
  readonly ref?: string
  readonly print: PrintOptions
}

/** The sockets of one task, header line included. */
export function taskSockets(
  target: Target,
  tc: TaskContext,
  options: SocketOptions,
): TaskAnswer<TaskSockets> {
  const { open, problem } = openSockets(tc)
  const found = options.ref === undefined ? open : open.filter(referenceTest(options.ref, maxFds(tc)))
  const sockets = found.map((socket) => socketRow(target, socket))
  const rows: TaskSockets = {
    pid: tc.pid,
    task: tc.task.$addr,
    comm: tc.comm,
    sockets: sockets.map(({ json }) => json),
    ...(problem === undefined ? {} : { problem: faultMark(problem) }),
  }
  const failed = problem !== undefined || rows.sockets.some((row) => row.problem !== undefined)
  const body = options.whole
    ? found.map((socket, i) => wholeText(target, socket, i > 0, options.print)).join('')
    : linesText(target, sockets)
  const end = problem === undefined ? '' : `${faultMark(problem)}\n`
  if (options.ref !== undefined) {
    const shown = found.length > 0
    return { rows, text: shown ? `${taskHeader(tc)}${body}${end}\n` : end, failed, shown }
  }
  const text = body + end === '' ? 'No open sockets.\n' : body + end
  return { rows, text: taskHeader(tc) + text, failed }
}

function openSockets(tc: TaskContext): { open: OpenSocket[]; problem?: FaultError | ValidationError } {
  const open: OpenSocket[] = []
  try {
    for (const socket of for_each_socket(tc.task)) open.push(socket)
  } catch (problem) {
    if (isDamage(problem)) return { open, problem }
    throw problem
  }
  return { open }
}

function maxFds(tc: TaskContext): number {
  try {
    return Number(task_fdtable(tc.task)?.$int('max_fds') ?? 0)
  } catch (error) {
    if (isDamage(error)) return 0
    throw error
  }
}

/** A decimal number up to the table's size is a descriptor; anything else an address, or a descriptor in hex. */
function referenceTest(ref: string, maxFd: number): (socket: OpenSocket) => boolean {
  if (/^\d+$/.test(ref) && Number(ref) <= maxFd) return ({ fd }) => fd === Number(ref)
  if (!/^(0x)?[0-9a-f]+$/i.test(ref)) return () => false
  const value = BigInt(`0x${ref.replace(/^0x/i, '')}`)
  return ({ fd, socket, sk }) => [BigInt(fd), socket.$addr, sk?.$addr].includes(value)
}

interface SocketRow {
  readonly json: SocketJson
  /** `INET:STREAM  192.168.56.1-10000 0.0.0.0-0` */
  readonly info: string
}

function socketRow(target: Target, { fd, socket, sk }: OpenSocket): SocketRow {
  const blank = { fd, socket: socket.$addr, sock: sk?.$addr ?? 0n, family: '', type: '', protocol: 0 }
  if (sk === null) return { json: blank, info: '' }
  try {
    const sock = sk.$cast('sock')
    const family = Number(sock.$int('__sk_common.skc_family'))
    const ends = inet_addresses(sock)
    const json: SocketJson = {
      ...blank,
      family: family_name(family),
      type: sock_type_name(Number(sock.$int('sk_type'))),
      protocol: Number(sock.$int('sk_protocol')),
      ...(ends === undefined ? {} : { state: tcp_state_name(Number(sock.$int('__sk_common.skc_state'))) }),
      ...(ends === undefined ? {} : { local: ends.local, remote: ends.remote }),
    }
    return {
      json,
      info: `${json.family}:${json.type.padEnd(json.type === 'DGRAM' ? 6 : 0)} ${inetText(target, sk, family)}`,
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { json: { ...blank, problem: faultMark(error) }, info: faultMark(error) }
  }
}

/** Source and destination as crash has them; `inet_sport`, not `skc_num`, is the source port. */
function inetText(target: Target, sk: StructRef, family: number): string {
  if (family !== AF_INET && family !== AF_INET6) return ''
  const inet = sk.$cast('inet_sock')
  const common = 'sk.__sk_common'
  const sport = ntohs(Number(inet.$int('inet_sport')))
  const dport = ntohs(Number(inet.$int(`${common}.skc_dport`)))
  if (family === AF_INET6) {
    const end = (member: string, port: number): string =>
      `${ipv6_full(in6_groups(sk.$mem, inet.$vaOf(`${common}.${member}`)))}-${port}`
    const source = end('skc_v6_rcv_saddr', sport)
    const narrow = target.wordSize === 4 && source.length > 22
    const destination = end('skc_v6_daddr', dport)
    return `${source.padStart(target.wordSize === 4 ? 22 : 12)} ${center(destination, narrow ? 1 : source.length)}`
  }
  const address = (member: string): string => ipv4_text(Number(inet.$int(`${common}.${member}`)) >>> 0)
  const [source, destination] = [address('skc_rcv_saddr'), address('skc_daddr')]
  if (target.wordSize === 8) return ` ${source}-${sport} ${destination}-${dport}`
  const column = (from: string, port: number): string => `${from.padStart(15)}-${String(port).padEnd(5)} `
  return column(source, sport) + column(destination, dport)
}

const HEADER_64 = 'FD      SOCKET            SOCK       FAMILY:TYPE SOURCE-PORT DESTINATION-PORT\n'
const HEADER_32 = 'FD   SOCKET     SOCK    FAMILY:TYPE          SOURCE-PORT      DESTINATION-PORT\n'

function linesText(target: Target, rows: readonly SocketRow[]): string {
  if (rows.length === 0) return ''
  const width = addressWidth(target.wordSize)
  const lines = rows.map(({ json, info }) => {
    const [socket, sock] = [json.socket, json.sock].map((at) => hex(at).padStart(width))
    return `${[String(json.fd).padStart(2), socket, sock, info].join(columnGap(target.wordSize))}\n`
  })
  return (target.wordSize === 8 ? HEADER_64 : HEADER_32) + lines.join('')
}

/** A socket's structs, each as `struct X ADDRESS` prints it. */
function wholeText(
  target: Target,
  { fd, socket, sk }: OpenSocket,
  after: boolean,
  print: PrintOptions,
): string {
  const width = addressWidth(target.wordSize)
  const names = ['SOCKET', 'SOCK'].map((name) => center(name, width)).join('  ')
  const addresses = [socket.$addr, sk?.$addr ?? 0n].map((at) => hex(at).padStart(width)).join('  ')
  const head = `${after ? '\n' : ''}FD  ${names}\n${String(fd).padStart(2)}  ${addresses}\n\n`
  const inet = sk === null ? '' : structText(target, 'inet_sock', sk.$addr, print)
  return head + structText(target, 'socket', socket.$addr, print) + inet
}

function structText(target: Target, name: string, at: bigint, print: PrintOptions): string {
  const type = target.types.struct(name)
  return `struct ${name} ${valueText(CValue.at(target.types, target.mem, type, at), print)}\n`
}
