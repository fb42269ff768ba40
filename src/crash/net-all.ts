/** `net --all`: every socket the kernel's tables hold, whoever owns it — or nobody — and those in descriptors only. */

import { hex, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import {
  family_name,
  for_each_socket,
  inet_end_text,
  sock_summary,
  unix_names,
  type SockKind,
} from '../helpers/sock.ts'
import { netlink_for_each, packet_for_each, raw_for_each, unix_for_each } from '../helpers/socket-tables.ts'
import {
  accept_queue,
  ehash_for_each,
  lhash2_for_each,
  listener_queues,
  request_listener,
  tcp_queues,
  tcp_row,
  timewait_substate,
  udp_for_each,
} from '../helpers/tcp.ts'
import { task_table } from '../helpers/tasks.ts'
import { addressWidth } from '../render/columns.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

export type SocketProtocol = 'TCP' | 'UDP' | 'RAW' | 'UNIX' | 'PACKET' | 'NETLINK' | 'OTHER'

/** A socket in `net --all --json`. */
export interface InetSocketJson {
  readonly sock: bigint
  readonly protocol: SocketProtocol
  /** what the table holds: a full sock, a request_sock (handshake not complete), a timewait_sock */
  readonly kind: SockKind
  readonly state: string
  readonly local: string
  readonly remote: string
  /** network namespace */
  readonly net: bigint
  /** bytes received and not read, bytes sent and not acknowledged; of full socks */
  readonly receiveBytes?: number
  readonly sendBytes?: number
  /** of listeners: handshakes under way, connections ready for accept(), its limit */
  readonly synQueue?: number
  readonly acceptQueue?: number
  readonly acceptQueueMax?: number
  /** the listener that a request, or a connection not yet accepted, belongs to */
  readonly listener?: bigint
  /** of a full sock no descriptor leads to: closed by its program, the kernel's own, or held by a file elsewhere */
  readonly holder?: 'orphan' | 'kernel' | 'file'
  /** it is in descriptors, but in none of the tables */
  readonly onlyInDescriptors?: boolean
  readonly owners: readonly { readonly pid: number; readonly comm: string; readonly fd: number }[]
  readonly problem?: string
}

interface Answer {
  readonly target: Target
  readonly rows: InetSocketJson[]
  readonly problems: string[]
  readonly owners: Map<Va, { pid: number; comm: string; fd: number }[]>
  /** the socks descriptors lead to */
  readonly held: Map<Va, StructRef>
  /** connections on accept queues, by address: their listener */
  readonly waiting: Map<Va, bigint>
}

/** Listeners, then the established table with requests and TIME_WAIT, then UDP. */
export function allSocketsReport(target: Target): Report {
  const answer: Answer = {
    target,
    rows: [],
    problems: [],
    owners: new Map(),
    held: new Map(),
    waiting: new Map(),
  }
  const damage = (error: Parameters<typeof faultMark>[0]): void => {
    answer.problems.push(faultMark(error))
  }
  readOwners(answer)
  guarded(answer, () => {
    for (const sk of lhash2_for_each(target, undefined, damage)) addListener(answer, sk)
    for (const { kind, sk } of ehash_for_each(target, undefined, damage)) addTcp(answer, kind, sk)
  })
  guarded(answer, () => {
    for (const sk of udp_for_each(target, damage)) addRow(answer, 'UDP', 'full', sk, () => udpExtras(sk))
  })
  for (const [protocol, table] of OTHER_TABLES) {
    guarded(answer, () => {
      for (const sk of table(target)) addOther(answer, protocol, sk)
    })
  }
  guarded(answer, () => addUntabled(answer))
  const { rows, problems } = answer
  const failed = problems.length > 0 || rows.some(({ problem }) => problem !== undefined)
  return { rows, text: tableText(target, rows) + problems.map((line) => `${line}\n`).join(''), failed }
}

/** Which descriptors refer to which sock. */
function readOwners({ target, owners, held, problems }: Answer): void {
  for (const { task, pid, comm } of task_table(target).tasks) {
    try {
      for (const { fd, sk } of for_each_socket(task)) {
        if (sk === null) continue
        held.set(sk.$va, sk)
        const known = owners.get(sk.$va)
        if (known === undefined) owners.set(sk.$va, [{ pid, comm, fd }])
        else known.push({ pid, comm, fd })
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      problems.push(`files of PID ${pid}: ${faultMark(error)}`)
    }
  }
}

function addListener(answer: Answer, sk: StructRef): void {
  addRow(answer, 'TCP', 'full', sk, () => {
    for (const { child } of accept_queue(sk)) if (child !== null) answer.waiting.set(child.$va, sk.$addr)
    const { qlen, backlog, maxBacklog } = listener_queues(sk)
    return { synQueue: qlen, acceptQueue: backlog, acceptQueueMax: maxBacklog }
  })
}

function addTcp(answer: Answer, kind: SockKind, sk: StructRef): void {
  if (kind === 'timewait') {
    const substate = (): Partial<InetSocketJson> => {
      const state = timewait_substate(sk)
      return state === 'TIME_WAIT' ? {} : { state: `TIME_WAIT (${state})` }
    }
    addRow(answer, 'TCP', kind, sk, substate)
  } else if (kind === 'request') {
    addRow(answer, 'TCP', kind, sk, () => {
      const listener = request_listener(sk)
      return listener === null ? {} : { listener: listener.$addr }
    })
  } else {
    const listener = answer.waiting.get(sk.$va)
    addRow(answer, 'TCP', kind, sk, () => {
      const { receive, send } = tcp_queues(sk)
      return { receiveBytes: receive, sendBytes: send, ...(listener === undefined ? {} : { listener }) }
    })
  }
}

const OTHER_TABLES: readonly (readonly [SocketProtocol, (target: Target) => Iterable<StructRef>])[] = [
  ['RAW', raw_for_each],
  ['UNIX', unix_for_each],
  ['PACKET', packet_for_each],
  ['NETLINK', netlink_for_each],
]

/** A sock of another family; what cannot be read of it is named. */
function addOther(answer: Answer, protocol: SocketProtocol, sk: StructRef, only = false): void {
  const { rows, owners } = answer
  const held = owners.get(sk.$va) ?? []
  const base = { sock: sk.$addr, protocol, kind: 'full' as const, owners: held, net: 0n }
  const unknown = { state: '?', local: '', remote: '' }
  try {
    rows.push({
      ...base,
      ...otherRow(protocol, sk),
      ...holderOf(sk, held),
      ...(only && { onlyInDescriptors: true }),
    })
  } catch (error) {
    if (!isDamage(error)) throw error
    rows.push({ ...base, ...unknown, problem: faultMark(error) })
  }
}

function otherRow(
  protocol: SocketProtocol,
  sk: StructRef,
): Pick<InetSocketJson, 'state' | 'local' | 'remote' | 'net' | 'receiveBytes' | 'sendBytes'> {
  const { state, local, remote, receiveBytes, sendBytes } = sock_summary(sk)
  const net = sk.$cast('sock').$int('__sk_common.skc_net.net')
  const common = { state: state === 'CLOSE' ? 'UNCONNECTED' : state, net, receiveBytes, sendBytes }
  if (protocol === 'UNIX') {
    const { name, peer } = unix_names(sk)
    return { ...common, local: name === '' ? '-' : name, remote: peer === null ? '-' : hex(peer.$addr) }
  }
  if (protocol === 'NETLINK') {
    const netlink = sk.$cast('netlink_sock')
    return {
      ...common,
      local: `port ${netlink.$int('portid')}`,
      remote: `protocol ${sk.$cast('sock').$int('sk_protocol')}`,
    }
  }
  return { ...common, local: inetText(local), remote: inetText(remote) }
}

const inetText = (end: Parameters<typeof inet_end_text>[0] | undefined): string =>
  end === undefined ? '-' : inet_end_text(end)

/** Who keeps a sock that no descriptor leads to. */
function holderOf(sk: StructRef, owners: readonly object[]): Pick<InetSocketJson, 'holder'> {
  if (owners.length > 0) return {}
  const socket = sk.$cast('sock').$ref('sk_socket')
  if (socket === null) return { holder: 'orphan' }
  return { holder: socket.$ref('file') === null ? 'kernel' : 'file' }
}

/** Socks that descriptors lead to and that no table has: never bound or connected, or taken out. */
function addUntabled(answer: Answer): void {
  const tabled = new Set(answer.rows.map(({ sock }) => sock))
  for (const sk of answer.held.values()) {
    if (tabled.has(sk.$addr)) continue
    const family = family_name(Number(sk.$cast('sock').$int('__sk_common.skc_family')))
    addOther(answer, PROTOCOLS[family]?.(sk) ?? 'OTHER', sk, true)
  }
}

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

function inetProtocol(sk: StructRef): SocketProtocol {
  const protocol = Number(sk.$cast('sock').$int('sk_protocol'))
  return protocol === IPPROTO_TCP ? 'TCP' : protocol === IPPROTO_UDP ? 'UDP' : 'RAW'
}

/** By the family's name. */
const PROTOCOLS: Readonly<Record<string, ((sk: StructRef) => SocketProtocol) | undefined>> = {
  INET: inetProtocol,
  INET6: inetProtocol,
  UNIX: () => 'UNIX',
  PACKET: () => 'PACKET',
  NETLINK: () => 'NETLINK',
}

function udpExtras(sk: StructRef): Partial<InetSocketJson> {
  const { receiveBytes, sendBytes } = sock_summary(sk)
  return { receiveBytes, sendBytes }
}

/** Add a row; what cannot be read beyond its sock_common is named in it. */
function addRow(
  { rows, owners }: Answer,
  protocol: 'TCP' | 'UDP',
  kind: SockKind,
  sk: StructRef,
  extras: () => Partial<InetSocketJson>,
): void {
  const { state, local, remote, net } = tcp_row(sk)
  const row: InetSocketJson = {
    sock: sk.$addr,
    protocol,
    kind,
    state: protocol === 'UDP' && state === 'CLOSE' ? 'UNCONNECTED' : state,
    local: inet_end_text(local),
    remote: inet_end_text(remote),
    net,
    owners: owners.get(sk.$va) ?? [],
  }
  try {
    rows.push({ ...row, ...(kind === 'full' && holderOf(sk, row.owners)), ...extras() })
  } catch (error) {
    if (!isDamage(error)) throw error
    rows.push({ ...row, problem: faultMark(error) })
  }
}

function guarded({ problems }: Answer, read: () => void): void {
  try {
    read()
  } catch (error) {
    if (!isDamage(error)) throw error
    problems.push(faultMark(error))
  }
}

function tableText(target: Target, rows: readonly InetSocketJson[]): string {
  const header = ['SOCK', 'PROTO', 'STATE', 'RECVQ', 'SENDQ', 'LOCAL', 'REMOTE', 'OWNER']
  const cells = rows.map((row) => [
    hex(row.sock).padStart(addressWidth(target.wordSize)),
    row.protocol,
    row.state,
    String(row.acceptQueue ?? row.receiveBytes ?? '-'),
    String(row.acceptQueueMax ?? row.sendBytes ?? '-'),
    row.local,
    row.remote,
    ownerText(row),
  ])
  const widths = header.map((name, i) =>
    Math.max(name.length, ...cells.map((line) => (line[i] as string).length)),
  )
  const right = new Set([3, 4])
  const line = (fields: readonly string[]): string =>
    fields
      .map((field, i) =>
        right.has(i) ? field.padStart(widths[i] as number) : field.padEnd(widths[i] as number),
      )
      .join('  ')
      .trimEnd()
  return [header, ...cells].map((fields) => `${line(fields)}\n`).join('')
}

function ownerText(row: InetSocketJson): string {
  const { owners, listener, kind, problem, synQueue } = row
  if (problem !== undefined) return problem
  const parts = owners.map(({ pid, comm, fd }) => `${comm} pid ${pid} fd ${fd}`)
  if (synQueue !== undefined && synQueue > 0) parts.push(`${synQueue} in SYN_RECV`)
  if (kind === 'request' && listener !== undefined) parts.push(`request of ${hex(listener)}`)
  else if (listener !== undefined) parts.push(`not accepted yet, on the queue of ${hex(listener)}`)
  if (row.onlyInDescriptors === true) parts.push('in no table')
  if (parts.length > 0) return parts.join(', ')
  return row.holder === undefined ? '-' : HOLDERS[row.holder]
}

const HOLDERS = {
  orphan: 'nobody: an orphan',
  kernel: "the kernel's own",
  file: 'a file in no descriptor of a task',
} as const
