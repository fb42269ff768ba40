/**
 * How true is a simulated socket to a real one? Every member of the structs of an established server connection is
 * read from a recorded dump and from a real machine's memory, and those that differ are listed — other than
 * addresses, hashes, times, sequence numbers and ports, which no two machines share.
 */

import type { StructRef } from '../../src/btf/ref.ts'
import { isStruct, strip, type StructType, type Type } from '../../src/btf/type.ts'
import type { Types } from '../../src/btf/types.ts'
import { fget, file_inode } from '../../src/helpers/fs.ts'
import { SOCKET_I } from '../../src/helpers/sock.ts'

/** A member as compared: its path and what it holds in each memory. */
export interface Difference {
  readonly member: string
  readonly simulated: string
  readonly real: string
}

/** Leaf values of a struct by path; pointers only as NULL or not. */
export function leaves(ref: StructRef): Map<string, string> {
  const found = new Map<string, string>()
  collect(ref.$types, ref, ref.$type, ref.$type.name, found)
  return found
}

function collect(
  types: Types,
  at: StructRef,
  type: StructType,
  path: string,
  into: Map<string, string>,
): void {
  for (const member of type.members) {
    const inner = strip(member.type)
    const name = member.name === '' ? path : `${path}.${member.name}`
    const va = at.$va + (member.bitOffset >>> 3)
    if (isStruct(inner)) {
      if (inner.kind === 'struct') collect(types, types.refTo(inner, at.$mem, va), inner, name, into)
      else into.set(`${name} (union)`, unionText(types, at, inner, va))
    } else into.set(name, leafText(types, at, inner, va, member.bitOffset, member.bitSize))
  }
}

/** A union's bytes cannot be told apart by type: pointers in them count as NULL or not, the rest as bytes. */
function unionText(types: Types, at: StructRef, type: StructType, va: number): string {
  if (type.size === 8 && type.members.some((m) => strip(m.type).kind === 'ptr'))
    return pointerText(at.$mem.word(va))
  const bytes = at.$mem.read(va, Math.min(type.size, 64))
  return bytes.every((b) => b === 0) ? '0' : Buffer.from(bytes).toString('hex')
}

function leafText(
  types: Types,
  at: StructRef,
  type: Type,
  va: number,
  bitOffset: number,
  bitSize: number,
): string {
  if (type.kind === 'ptr') return pointerText(at.$mem.word(va))
  if (type.kind === 'array') return arrayText(types, at, type, va)
  if (bitSize > 0) return String(bits(at, va, bitOffset & 7, bitSize))
  const size = types.sizeof(type)
  if (size === 0) return ''
  let value = 0n
  const bytes = at.$mem.read(va, size)
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0)
  return String(value)
}

function arrayText(types: Types, at: StructRef, type: Type & { kind: 'array' }, va: number): string {
  if (strip(type.element).kind === 'ptr') {
    return Array.from({ length: type.length }, (_, i) => pointerText(at.$mem.word(va + 8 * i))).join(' ')
  }
  const bytes = at.$mem.read(va, Math.min(types.sizeof(type), 256))
  return bytes.every((b) => b === 0) ? '0' : Buffer.from(bytes).toString('hex')
}

const pointerText = (word: bigint): string => (word === 0n ? 'NULL' : 'pointer')

function bits(at: StructRef, va: number, shift: number, width: number): bigint {
  const bytes = at.$mem.read(va, Math.ceil((shift + width) / 8))
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0)
  return (value >> BigInt(shift)) & ((1n << BigInt(width)) - 1n)
}

/**
 * What no two machines share: identity (addresses, hashes, cookies, inode numbers), clocks, sequence numbers,
 * ports, and counters of what else the machine did.
 */
const VARIES =
  /(skc_hash|skc_addrpair|skc_portpair|skc_dport|skc_num|skc_daddr|skc_rcv_saddr|skc_v6|skc_cookie|skc_rxhash|skc_incoming_cpu|skc_rx_queue_mapping|skc_tx_queue_mapping|sk_txhash|sk_uid|inet_saddr|inet_sport|inet_id|_time|_stamp|tstamp|_mstamp|lrcvtime|lsndtime|icsk_timeout|\.timeout$|\.expires|jiffies|seq|rcv_nxt|rcv_wup|snd_nxt|snd_una|snd_sml|snd_up|snd_wl1|tsoffset|ts_recent|rcv_tsval|rcv_tsecr|rtt|mdev|rttvar|high_seq|retrans_stamp|undo_marker|i_ino|i_[acm]time|i_generation|i_version|f_version|pushed|sk_stamp)/

/** Compare two structs of the same type. */
export function compareStructs(simulated: StructRef, real: StructRef): Difference[] {
  const ours = leaves(simulated)
  return [...leaves(real)]
    .filter(([member]) => !VARIES.test(member))
    .map(([member, value]) => ({ member, simulated: ours.get(member) ?? 'missing', real: value }))
    .filter((d) => d.simulated !== d.real)
}

/** The structs of a socket descriptor that issue from one another. */
export function socketStructs(task: StructRef, fd: number): Map<string, StructRef> {
  const file = fget(task, fd)
  const inode = file === undefined ? null : file_inode(file)
  if (file === undefined || inode === null) throw new Error(`no socket at descriptor ${fd}`)
  const socket = SOCKET_I(inode)
  const sk = socket.$ref('sk')
  if (sk === null) throw new Error('a socket without a sock')
  return new Map<string, StructRef>([
    ['file', file],
    ['inode', inode],
    ['socket', socket],
    ['tcp_sock', sk.$cast('tcp_sock')],
  ])
}

/** Every difference between two socket descriptors, struct by struct. */
export function compareSockets(
  simulated: { task: StructRef; fd: number },
  real: { task: StructRef; fd: number },
): Difference[] {
  const ours = socketStructs(simulated.task, simulated.fd)
  const theirs = socketStructs(real.task, real.fd)
  return [...theirs].flatMap(([name, struct]) => {
    const mine = ours.get(name)
    return mine === undefined ? [] : compareStructs(mine, struct)
  })
}
