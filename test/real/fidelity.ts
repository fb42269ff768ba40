/**
 * How true is a simulated socket to a real one? Every member of the structs of an established server connection is
 * read from a recorded dump and from a real machine's memory, and those that differ are listed. What no two machines
 * share — hashes, times, sequence numbers — still must be set in both, or in neither.
 */

import type { StructRef } from '../../src/btf/ref.ts'
import { fget, file_inode } from '../../src/helpers/fs.ts'
import { SOCKET_I } from '../../src/helpers/sock.ts'
import type { Target } from '../../src/target/target.ts'
import { Leaves, type Symbolize } from './leaves.ts'

/** A member as compared: its path and what it holds in each memory. */
export interface Difference {
  readonly member: string
  readonly simulated: string
  readonly real: string
}

/** The members whose values are chance, by what they are. All others are compared as they are. */
const CHANCE: Readonly<Record<string, readonly string[]>> = {
  // a sock is the last of its chain: what follows it there is the mark of the chain's number
  hashes: ['skc_hash (union)', 'skc_node (union)+0', 'skc_rxhash', 'sk_txhash'],
  times: [
    'icsk_ack.lrcvtime',
    'rcv_tstamp',
    'lsndtime',
    'tcp_wstamp_ns',
    'tcp_clock_cache',
    'tcp_mstamp',
    'srtt_us',
    'mdev_us',
    'rtt_min.s[0].t',
    'rtt_min.s[1].t',
    'rtt_min.s[2].t',
    'rtt_min.s[0].v',
    'rtt_min.s[1].v',
    'rtt_min.s[2].v',
    'rx_opt.ts_recent_stamp',
    'rx_opt.ts_recent',
    'rx_opt.rcv_tsval',
    'rx_opt.rcv_tsecr',
    'rcv_rtt_last_tsecr',
    'rcv_rtt_est.time',
    'rcvq_space.time',
    'snd_cwnd_stamp',
    'bictcp.round_start',
    'bictcp.last_ack',
  ],
  'sequence numbers': [
    'rcv_nxt',
    'rcv_wup',
    'copied_seq',
    'snd_nxt',
    'snd_una',
    'snd_sml',
    'snd_up',
    'snd_wl1',
    'write_seq',
    'pushed_seq',
    'rtt_seq',
    'tsoffset',
    'rcv_rtt_est.seq',
    'rcvq_space.seq',
    'bictcp.end_seq',
    'inet_id.counter',
  ],
}
const chanceNames = Object.values(CHANCE).flat()
/** bytes a second: what the window and the round trip come to */
const RATE = 'sk_pacing_rate'

/** A port the kernel chose, wherever it stands: local, packed with the other end's, and in who shares its slot. */
export const EPHEMERAL: readonly string[] = [
  'skc_portpair (union)',
  'inet_sport',
  'skc_bind_node.next',
  'cork.fl.u.ip4.uli.ports (union)',
]

export const isChance = (member: string, more: readonly string[] = []): boolean =>
  [...chanceNames, ...more].some((name) => member.endsWith(`.${name}`))

/** A struct in the memory of a machine. */
export interface Place {
  readonly target: Target
  readonly ref: StructRef
}

/** Compare two structs of the same type. @param chance members that are chance here, beside those that always are */
export function compareStructs(simulated: Place, real: Place, chance: readonly string[] = []): Difference[] {
  // both are read by the real kernel's types, so that every member it has is asked for
  const { types } = real.target
  const ours = new Leaves(simulated.ref, types, symbolizer(simulated.target)).found
  const theirs = new Leaves(real.ref, types, symbolizer(real.target)).found
  return [...theirs.keys()]
    .map((member) => ({ member, simulated: text(ours, member, chance), real: text(theirs, member, chance) }))
    .filter((d) => d.simulated !== d.real)
}

/** What is compared: for a member that is chance, whether it is set. */
function text(leaves: ReadonlyMap<string, string>, member: string, chance: readonly string[]): string {
  const value = leaves.get(member) ?? 'missing'
  if (member.endsWith(`.${RATE}`)) return paced(leaves, Number(value))
  return isChance(member, chance) && value !== '0' && value !== '0x0' ? 'set' : value
}

/** The pacing rate without the round trip in it: the bytes that go out in one, to four digits. */
function paced(leaves: ReadonlyMap<string, string>, rate: number): string {
  const [, srtt = '0'] = [...leaves].find(([member]) => member.endsWith('.srtt_us')) ?? []
  return `${((rate * (Number(srtt) / 8)) / 1e6).toPrecision(4)} bytes a round trip`
}

/** Names of what lies in the kernel's image and in modules. */
function symbolizer({ symbols }: Target): Symbolize {
  return (word) => (word >= 0xffff_ffff_8000_0000n ? symbols.symbolize(word) : undefined)
}

/** The structs of a socket descriptor that issue from one another. */
export function socketStructs(task: StructRef, fd: number): Map<string, StructRef> {
  const file = fget(task, fd)
  const inode = file === undefined ? null : file_inode(file)
  if (file === undefined || inode === null) throw new Error(`no socket at descriptor ${fd}`)
  const socket = SOCKET_I(inode)
  const sk = socket.$ref('sk')
  if (sk === null) throw new Error('a socket without a sock')
  const struct = SOCKS[sock_prot_name(sk)] ?? 'tcp_sock'
  return new Map<string, StructRef>([
    ['file', file],
    ['inode', inode],
    ['socket', socket],
    [struct, sk.$cast(struct)],
  ])
}

/** The struct of a protocol's socks, by the protocol's name. */
const SOCKS: Readonly<Record<string, string>> = {
  UDP: 'udp_sock',
  UDPv6: 'udp6_sock',
  UNIX: 'unix_sock',
  'UNIX-STREAM': 'unix_sock',
}
const sock_prot_name = (sk: StructRef): string =>
  sk.$ref('__sk_common.skc_prot')?.$array('name').$string() ?? ''

/** A task's descriptor. */
export interface Descriptor {
  readonly target: Target
  readonly task: StructRef
  readonly fd: number
}

/** Every difference between two socket descriptors, struct by struct. @param chance as of {@link compareStructs} */
export function compareSockets(
  simulated: Descriptor,
  real: Descriptor,
  chance: readonly string[] = [],
): Difference[] {
  const ours = socketStructs(simulated.task, simulated.fd)
  const theirs = socketStructs(real.task, real.fd)
  return [...theirs].flatMap(([name, ref]) => {
    const mine = ours.get(name)
    if (mine === undefined) return []
    return compareStructs({ target: simulated.target, ref: mine }, { target: real.target, ref }, chance)
  })
}
