/** `net --all`: every internet socket the kernel's tables hold, whoever owns it — or nobody. */

import { hex, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { for_each_socket, inet_end_text, sock_summary, type SockKind } from '../helpers/sock.ts'
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

/** A socket in `net --all --json`. */
export interface InetSocketJson {
  readonly sock: bigint
  readonly protocol: 'TCP' | 'UDP'
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
  readonly owners: readonly { readonly pid: number; readonly comm: string; readonly fd: number }[]
  readonly problem?: string
}

interface Answer {
  readonly target: Target
  readonly rows: InetSocketJson[]
  readonly problems: string[]
  readonly owners: Map<Va, { pid: number; comm: string; fd: number }[]>
  /** connections on accept queues, by address: their listener */
  readonly waiting: Map<Va, bigint>
}

/** Listeners, then the established table with requests and TIME_WAIT, then UDP. */
export function allSocketsReport(target: Target): Report {
  const answer: Answer = { target, rows: [], problems: [], owners: new Map(), waiting: new Map() }
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
  const { rows, problems } = answer
  const failed = problems.length > 0 || rows.some(({ problem }) => problem !== undefined)
  return { rows, text: tableText(target, rows) + problems.map((line) => `${line}\n`).join(''), failed }
}

/** Which descriptors refer to which sock. */
function readOwners({ target, owners, problems }: Answer): void {
  for (const { task, pid, comm } of task_table(target).tasks) {
    try {
      for (const { fd, sk } of for_each_socket(task)) {
        if (sk === null) continue
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
    rows.push({ ...row, ...extras() })
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

function ownerText({ owners, listener, kind, problem, synQueue }: InetSocketJson): string {
  if (problem !== undefined) return problem
  const parts = owners.map(({ pid, comm, fd }) => `${comm} pid ${pid} fd ${fd}`)
  if (synQueue !== undefined && synQueue > 0) parts.push(`${synQueue} in SYN_RECV`)
  if (kind === 'request' && listener !== undefined) parts.push(`request of ${hex(listener)}`)
  else if (listener !== undefined) parts.push(`not accepted yet, on the queue of ${hex(listener)}`)
  return parts.length > 0 ? parts.join(', ') : '-'
}
