/**
 * Where a sock was born: listener, request_sock, child — as far as memory still shows it, and by the journal where
 * there is one.
 */

import { hex } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import {
  accept_queue,
  ehash_for_each,
  is_listener,
  lhash2_for_each,
  request_listener,
} from '../helpers/tcp.ts'
import { inet_addresses, inet_end_text, sock_common } from '../helpers/sock.ts'
import type { Target } from '../target/target.ts'
import type { Stage, Waiting } from './facts.ts'
import { lineage, type Origin } from './lineage.ts'

/** The misreading this tool corrects wherever a listener's queues are the subject. */
const CORRECTION =
  'At the SYN nothing is put on the accept queue: the request_sock goes into the hash of connections (ehash) and is only ' +
  'counted (icsk_accept_queue.qlen). At the ACK the child takes its place in ehash, and the request_sock, whose ->sk is ' +
  'now the child, is linked on the accept queue (sk_ack_backlog). accept() takes the child out and frees the request.'

/** Listeners bound to the port of this connection. */
function listenersOf(target: Target, port: number): StructRef[] {
  return [...lhash2_for_each(target, undefined, () => undefined)].filter(
    (sk) => Number(sock_common(sk).$int('skc_num')) === port,
  )
}

/** The accept-queue entry that carries this child, if it still waits. */
function waitingAt(target: Target, child: StructRef): { listener: StructRef; req: StructRef } | undefined {
  for (const listener of lhash2_for_each(target, undefined, () => undefined)) {
    for (const entry of accept_queue(listener)) {
      if (entry.child !== null && entry.child.$addr === child.$addr) return { listener, req: entry.req }
    }
  }
  return undefined
}

/** What waits at a listener: half-open requests (found in ehash) and connections ready for accept(). */
export function waitingConnections(target: Target, listener: StructRef): Waiting[] {
  const half = [...ehash_for_each(target, undefined, () => undefined)]
    .filter(({ kind, sk }) => kind === 'request' && request_listener(sk)?.$addr === listener.$addr)
    .map(({ sk }) => ({
      kind: 'half-open' as const,
      req: sk.$addr,
      child: 0n,
      remote: remoteOf(sk),
    }))
  const ready = [...accept_queue(listener)].map(({ req, child }) => ({
    kind: 'ready' as const,
    req: req.$addr,
    child: child?.$addr ?? 0n,
    remote: remoteOf(req),
  }))
  return [...half, ...ready]
}

function remoteOf(sk: StructRef): string {
  const ends = inet_addresses(sk)
  return ends === undefined ? '?' : inet_end_text(ends.remote)
}

/** A connection: did this machine open it, or was it accepted, and what is left of its request and listener? */
export function birthOfConnection(target: Target, sk: StructRef): Stage[] {
  const port = Number(sock_common(sk).$int('skc_num'))
  const stages: Stage[] = []
  const listeners = listenersOf(target, port)
  const waiting = waitingAt(target, sk)
  const told = journalStory(target, sk)
  const bucket = sk.$cast('inet_connection_sock').$int('icsk_bind_hash')
  const shared = listeners.find((l) => l.$cast('inet_connection_sock').$int('icsk_bind_hash') === bucket)
  if (shared !== undefined && bucket !== 0n) {
    stages.push({
      title: 'listener',
      text: `struct sock ${hex(shared.$addr)} listens on port ${port} and shares this sock's bind bucket ${hex(bucket)}: a child inherits it from its listener (__inet_inherit_port)`,
    })
  } else if (told.some(({ function: f }) => f === 'tcp_v4_syn_recv_sock' || f === 'sk_clone_lock')) {
    stages.push({
      title: 'listener',
      text: `it was cloned from a listener on port ${port} that has since been closed`,
    })
  }
  stages.push(...storyStages(told))
  if (waiting !== undefined) {
    stages.push({
      title: 'accept queue',
      text: `it waits for accept() at listener ${hex(waiting.listener.$addr)}: request_sock ${hex(waiting.req.$addr)} is linked on the queue and its ->sk is this child; it has no struct socket yet (sk_socket is NULL)`,
    })
  }
  if (shared !== undefined || waiting !== undefined || stages.length > 0) {
    stages.push({ title: 'often misread', text: CORRECTION })
  } else {
    const active = told.some(({ function: f }) => f === 'tcp_v4_connect') || listeners.length === 0
    const text = active
      ? 'no listener here has this port, so this machine opened the connection: connect() stored the peer in sk_daddr and inet_dport, and routing chose the source address'
      : `a listener on port ${port} exists but does not share the bind bucket: this machine opened the connection from that port`
    stages.push({ title: 'connect()', text })
  }
  return stages
}

/** Who stored `skc_daddr`, and from where. */
function journalStory(target: Target, sk: StructRef): Origin[] {
  return lineage(target, sock_common(sk).$vaOf('skc_daddr'))
}

function storyStages(chain: readonly Origin[]): Stage[] {
  return chain.map((origin) => {
    const where = origin.file === '' ? origin.function : `${origin.function} (${origin.file})`
    const text =
      origin.source === 'memory'
        ? `${where} stored the peer's address at ${hex(origin.at)}, copied from ${hex(origin.from)}`
        : origin.source === 'packet'
          ? `${where} stored it at ${hex(origin.at)} from byte ${origin.offset} of frame ${origin.frame}: the source address of the peer's packet`
          : origin.source === 'syscall'
            ? `${where} stored it at ${hex(origin.at)} from an argument of the system call`
            : `${where} stored it at ${hex(origin.at)}`
    return { title: `step ${origin.step}${origin.stepName === '' ? '' : ` (${origin.stepName})`}`, text }
  })
}

/** A listener: how its queues work, with what is in them. */
export const birthOfListener = (): Stage[] => [{ title: 'often misread', text: CORRECTION }]

/** A request that is not a connection yet. */
export function birthOfRequest(req: StructRef): Stage[] {
  const listener = request_listener(req)
  const text =
    listener === null
      ? 'its rsk_listener is NULL'
      : is_listener(listener)
        ? `tcp_conn_request() made it for listener ${hex(listener.$addr)} when the SYN came: ir_rmt_addr is the SYN's source, ir_loc_addr its destination; it is in ehash and counted in the listener's qlen, on no queue`
        : `its listener ${hex(listener.$addr)} no longer listens`
  return [
    { title: 'request_sock', text },
    { title: 'often misread', text: CORRECTION },
  ]
}
