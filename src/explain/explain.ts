/** Put the facts about one sock together: the way to it, its ends, its birth, its hooks. */

import { hex, toAddr } from '../base/addr.ts'
import { FaultError, LookupError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { for_each_socket, inet_addresses, inet_end_text, skb_queue_bytes, sock_common, sock_kind, tcp_state_name, unix_names, family_name, sock_type_name, AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET, type InetAddresses } from '../helpers/sock.ts' // prettier-ignore
import { listener_queues, timewait_substate } from '../helpers/tcp.ts'
import { task_comm, task_pid } from '../helpers/task.ts'
import type { Target } from '../target/target.ts'
import { birthOfConnection, birthOfListener, birthOfRequest, waitingConnections } from './birth.ts'
import { birthOfUdp, birthOfUnix, isKernelSock, kernelEvidence } from './birth-datagram.ts'
import { adviceFor } from './advice.ts'
import type { Evidence, Explanation, Refusal, Side, SockKindName, Stage, Step } from './facts.ts'
import { addressFields } from './fields.ts'
import { refusalsOf } from './history.ts'
import { hookEntries } from './hooks.ts'
import { evidenceOf, isAny, ownAddresses } from './local.ts'
import { walkDescriptor, type Walk } from './walk.ts'

/** @see include/uapi/linux/in.h */
const IPPROTO_TCP = 6
const SOCK_RAW = 3
const SOCK_DGRAM = 2

/** Descriptors of a task's sockets. */
export function socketDescriptors(task: StructRef): number[] {
  return [...for_each_socket(task)].map(({ fd }) => fd)
}

/**
 * Explain the socket at a task's descriptor.
 * @throws LookupError when there is none
 */
export function explainDescriptor(target: Target, task: StructRef, fd: number): Explanation {
  const walk = walkDescriptor(task, fd)
  return assemble(target, { walk, task, fd, sk: walk.sk })
}

/**
 * Explain a sock by address: what is in no descriptor table (half-open, waiting, TIME_WAIT, the kernel's own).
 * @param va `struct sock *`, `struct request_sock *` or `struct inet_timewait_sock *`
 */
export function explainSock(target: Target, va: number): Explanation {
  const sk = target.ref('sock', va)
  return assemble(target, { walk: undefined, task: undefined, fd: undefined, sk })
}

interface Subject {
  readonly walk: Walk | undefined
  readonly task: StructRef | undefined
  readonly fd: number | undefined
  readonly sk: StructRef | null
}

/** Collects what cannot be read and goes on. */
class Damage {
  readonly lines: string[] = []
  attempt<T>(what: string, read: () => T, otherwise: T): T {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof FaultError || error instanceof ValidationError || error instanceof LookupError))
        throw error
      this.lines.push(`${what}: ${error.message}`)
      return otherwise
    }
  }
}

function assemble(target: Target, subject: Subject): Explanation {
  const { sk, task } = subject
  const owner =
    task === undefined
      ? undefined
      : { pid: task_pid(task), comm: task_comm(task), address: task.$addr as bigint }
  if (sk === null) {
    const headline = 'a struct socket without a sock: socket() has not finished, or the sock was released'
    return withoutSock(subject, owner, headline)
  }
  const damage = new Damage()
  const found = damage.attempt('sock', () => describeSock(target, subject, sk, owner, damage), undefined)
  const headline = 'a sock that cannot be read'
  return found ?? { ...withoutSock(subject, owner, headline), sk: sk.$addr, damage: damage.lines }
}

function describeSock(
  target: Target,
  subject: Subject,
  sk: StructRef,
  owner: Explanation['task'],
  damage: Damage,
): Explanation {
  const kind = kindOf(sk)
  const ends = inet_addresses(sk)
  const own = damage.attempt('addresses of devices', () => ownAddresses(target, sk), [])
  const { sides, evidence } = ends === undefined ? { sides: NOWHERE, evidence: [] } : judge(ends, own)
  const hashed = kind === 'request' || kind === 'timewait' ? kind : 'full'
  const hook = hashed === 'full'
  const birth = damage.attempt('birth', () => birthOf(target, sk, kind), [])
  return {
    kind,
    headline: `${hook && isKernelSock(sk) ? "the kernel's own " : ''}${headlineOf(sk, kind, ends, sides)}`,
    task: owner,
    fd: subject.fd,
    sk: sk.$addr,
    state: stateOf(sk, kind),
    steps: withGraft(subject.walk?.steps ?? [], birth),
    fields:
      ends === undefined ? [] : damage.attempt('address members', () => addressFields(sk, hashed, sides), []),
    evidence: [...evidence, ...damage.attempt('evidence', () => moreEvidence(sk, kind), [])],
    advice: adviceFor(kind, sides, ends),
    birth,
    waiting: kind === 'listener' ? damage.attempt('queues', () => waitingConnections(target, sk), []) : [],
    queue: hook ? damage.attempt('receive queue', () => receiveQueue(sk), undefined) : undefined,
    hooks: hook ? damage.attempt('hooks', () => hookEntries(target, 'socket_recvmsg'), []) : [],
    refusals: refusalsOf(target).filter((refusal) => concerns(refusal, sk, owner)),
    damage: damage.lines,
  }
}

/** Was the hook asked about this sock, or its socket? Recordings of before say only whose call it was. */
function concerns({ subject, pid }: Refusal, sk: StructRef, owner: Explanation['task']): boolean {
  if (subject === undefined || !/^[0-9a-f]{1,16}$/.test(subject)) return pid === owner?.pid
  const socket = sk.$has('sk_socket') ? sk.$int('sk_socket') : 0n
  return [sk.$addr as bigint, socket].includes(BigInt(`0x${subject}`))
}

/** The last step's rule, once it is known whether the sock was accepted or made by socket(). */
function withGraft(steps: readonly Step[], birth: readonly Stage[]): Step[] {
  const accepted = birth.some(({ title }) => title === 'listener')
  const rule = accepted
    ? 'sock_graft() stored the sock here when accept() took it off the queue'
    : 'the sock was made with the socket, by socket(): its family stored it here (sock_init_data)'
  return steps.map((step) => (step.member === 'sk' ? { ...step, rule } : step))
}

const NOWHERE = { local: 'none' as Side, remote: 'none' as Side }

function withoutSock(subject: Subject, task: Explanation['task'], headline: string): Explanation {
  return {
    kind: 'other',
    headline,
    task,
    fd: subject.fd,
    sk: 0n,
    state: '',
    steps: subject.walk?.steps ?? [],
    fields: [],
    evidence: [],
    advice: [],
    birth: [],
    waiting: [],
    queue: undefined,
    hooks: [],
    refusals: [],
    damage: [],
  }
}

/** What surrounds and what it is: by skc_state before anything behind the sock_common is read. */
function kindOf(sk: StructRef): SockKindName {
  const family = Number(sock_common(sk).$int('skc_family'))
  if (family === AF_INET || family === AF_INET6) {
    const state = tcp_state_name(Number(sock_common(sk).$int('skc_state')))
    const around = sock_kind(sk)
    if (around !== 'full') return around
    if (Number(sk.$int('sk_type')) === SOCK_RAW) return 'raw'
    if (Number(sk.$int('sk_type')) === SOCK_DGRAM || Number(sk.$int('sk_protocol')) !== IPPROTO_TCP)
      return 'udp'
    return state === 'LISTEN' ? 'listener' : 'connection'
  }
  if (family === AF_UNIX) return 'unix'
  if (family === AF_NETLINK) return 'netlink'
  return family === AF_PACKET ? 'packet' : 'other'
}

function stateOf(sk: StructRef, kind: SockKindName): string {
  const state = tcp_state_name(Number(sock_common(sk).$int('skc_state')))
  if (kind === 'timewait') return `TIME_WAIT (substate ${timewait_substate(sk)})`
  if (kind === 'request') return 'NEW_SYN_RECV'
  if (kind === 'udp') return state === 'ESTABLISHED' ? 'connected' : 'not connected'
  return kind === 'netlink' || kind === 'packet' || kind === 'raw' ? '' : state
}

/** Which end is this machine's, and how that is known. */
function judge(
  ends: InetAddresses,
  own: ReturnType<typeof ownAddresses>,
): { sides: { local: Side; remote: Side }; evidence: Evidence[] } {
  const evidence: Evidence[] = []
  const side = (text: string, field: string): Side => {
    if (isAny(text)) {
      evidence.push({ fact: `${field} is ${text}: no address is fixed there`, at: 0n })
      return 'none'
    }
    const found = evidenceOf(own, text)
    evidence.push(found.evidence)
    return found.side
  }
  const local = side(ends.local.addr, 'the receive address')
  const remote = side(ends.remote.addr, 'the peer address')
  return { sides: { local, remote }, evidence }
}

/** What the hash tables say: a hashed sock is found by its peer's packets. */
function moreEvidence(sk: StructRef, kind: SockKindName): Evidence[] {
  if (kind === 'listener' || kind === 'udp' || kind === 'unix') return kernelEvidence(sk)
  if (kind !== 'connection' && kind !== 'request' && kind !== 'timewait') return []
  const skc = sock_common(sk)
  const hashed = skc.$int('skc_node.pprev') !== 0n
  const own = kind === 'connection' ? kernelEvidence(sk) : []
  const at = toAddr(skc.$vaOf('skc_hash'))
  if (!hashed) return [...own, { fact: 'it is in no hash table: no packet finds it', at }]
  const fact =
    'it is hashed by (skc_rcv_saddr, skc_num, skc_daddr, skc_dport) = (own address, own port, peer address, peer port): an arriving packet is looked up with its destination as the first pair and its source as the second'
  return [...own, { fact, at }]
}

function headlineOf(
  sk: StructRef,
  kind: SockKindName,
  ends: InetAddresses | undefined,
  sides: { local: Side; remote: Side },
): string {
  if (kind === 'unix') return unixHeadline(sk)
  if (ends === undefined) {
    const skc = sock_common(sk)
    return `${family_name(Number(skc.$int('skc_family')))} socket of type ${sock_type_name(Number(sk.$int('sk_type')))}`
  }
  const local = inet_end_text(ends.local)
  const remote = inet_end_text(ends.remote)
  const whose = sides.remote === 'local' ? 'this machine too' : 'the foreign end'
  switch (kind) {
    case 'listener': {
      const q = listener_queues(sk)
      return `listener on ${local}: ${q.qlen} half-open, ${q.backlog} ready for accept() (limit ${q.maxBacklog})`
    }
    case 'request':
      return `half-open request: ${remote} (${whose}) asked ${local} (this machine), the ACK has not come`
    case 'timewait':
      return `remains of a closed connection: ${local} (this machine) and ${remote} (${whose})`
    case 'udp':
      return sides.remote === 'none'
        ? `UDP socket on ${local}, not connected: it has no peer, each packet brings its own source`
        : `UDP socket on ${local}, connected to ${remote} (${whose})`
    case 'raw':
      return `raw socket on ${ends.local.addr}`
    default:
      if (sides.remote === 'none') return `TCP socket ${local}, not connected`
      return `connection: ${local} is this machine, ${remote} is ${whose}`
  }
}

function unixHeadline(sk: StructRef): string {
  const { name, peer, backlog } = unix_names(sk)
  const peerName = peer === null ? undefined : unix_names(peer).name
  const bound = name === '' ? 'unnamed' : `named ${name}`
  const to =
    peer === null ? 'no peer' : `peer ${hex(peer.$addr)}${peerName === '' ? '' : ` (${peerName ?? ''})`}`
  const waits = backlog > 0 ? `, ${backlog} waiting in its queue` : ''
  return `UNIX socket, ${bound}, ${to}${waits}: it has no addresses or ports, both ends are on this machine`
}

function birthOf(target: Target, sk: StructRef, kind: SockKindName): Stage[] {
  switch (kind) {
    case 'listener':
      return birthOfListener()
    case 'request':
      return birthOfRequest(sk)
    case 'connection':
      return birthOfConnection(target, sk)
    case 'udp':
      return birthOfUdp(sk)
    case 'unix':
      return birthOfUnix(sk)
    case 'timewait':
      return [
        {
          title: 'TIME_WAIT',
          text: 'this side closed first: tcp_time_wait() put this small struct in the place of the sock in ehash; there is no socket and no file any more, and no member beyond struct inet_timewait_sock',
        },
      ]
    default:
      return []
  }
}

function receiveQueue(sk: StructRef): NonNullable<Explanation['queue']> {
  const queue = sk.$ref('sk_receive_queue')
  if (queue === null) return { bytes: 0, buffers: 0, at: 0n }
  return { bytes: skb_queue_bytes(queue), buffers: Number(queue.$int('qlen')), at: queue.$addr }
}
