/** Tables of operations: protocols, socket families, files of sockets, packet types; whose function is each member? */

import { strip, type StructType } from '../../btf/type.ts'
import type { Va } from '../../base/addr.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

/** Global variables that are structs of function pointers. */
const GLOBALS: Readonly<Record<string, readonly string[]>> = {
  proto: ['tcp_prot', 'tcpv6_prot', 'udp_prot', 'udpv6_prot', 'udplite_prot', 'raw_prot', 'rawv6_prot', 'ping_prot', 'unix_stream_proto', 'unix_dgram_proto'], // prettier-ignore
  proto_ops: ['inet_stream_ops', 'inet_dgram_ops', 'inet_sockraw_ops', 'inet6_stream_ops', 'inet6_dgram_ops', 'unix_stream_ops', 'unix_dgram_ops', 'unix_seqpacket_ops', 'netlink_ops', 'packet_ops'], // prettier-ignore
  inet_connection_sock_af_ops: ['ipv4_specific', 'ipv6_specific', 'ipv6_mapped'],
  request_sock_ops: ['tcp_request_sock_ops', 'tcp6_request_sock_ops'],
  tcp_request_sock_ops: ['tcp_request_sock_ipv4_ops', 'tcp_request_sock_ipv6_ops'],
  tcp_congestion_ops: ['tcp_reno', 'cubictcp'],
  seq_operations: ['tcp4_seq_ops', 'tcp6_seq_ops', 'udp_seq_ops', 'udp6_seq_ops', 'unix_seq_ops', 'kallsyms_op', 'modules_op'], // prettier-ignore
  file_operations: ['socket_file_ops', 'pipefifo_fops', 'def_chr_fops', 'proc_root_operations', 'proc_tgid_base_operations', 'ext4_dir_operations', 'ext4_file_operations', 'kmsg_fops'], // prettier-ignore
  super_operations: ['sockfs_ops'],
  inode_operations: ['sockfs_inode_ops', 'proc_root_inode_operations'],
  net_device_ops: ['loopback_ops'],
}
/** Arrays of pointers to structs of function pointers. */
const ARRAYS: readonly (readonly [symbol: string, struct: string])[] = [
  ['inet_protos', 'net_protocol'],
  ['inet6_protos', 'inet6_protocol'],
  ['net_families', 'net_proto_family'],
]
const ARRAY_MAX = 256
const TYPES_MAX = 10_000
/** @see include/linux/netdevice.h:PTYPE_HASH_SIZE */
const PTYPE_HASH_SIZE = 16

/** @returns why there is nothing to check, if so */
export function* checkOps(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, types } = c.target
  for (const [struct, names] of Object.entries(GLOBALS)) {
    const type = types.findStruct(struct)
    for (const name of names) {
      const symbol = symbols.findKernel(name)
      if (type !== undefined && symbol !== undefined)
        yield* c.guard(name, () => functions(c, name, type, symbol.va))
    }
  }
  for (const [name, struct] of ARRAYS) yield* c.guard(name, () => array(c, name, struct))
  yield* c.guard('packet types', () => packetTypes(c))
  return undefined
}

/** Every function pointer of a struct that is set. */
function* functions(c: CheckContext, name: string, type: StructType, va: Va): Generator<Seen> {
  for (const member of type.members) {
    const pointer = strip(member.type)
    if (pointer.kind !== 'ptr' || strip(pointer.target).kind !== 'func_proto') continue
    const at = va + member.bitOffset / 8
    if (c.target.mem.word(at) !== 0n) yield c.pointer(`${name}.${member.name}`, at, 'tainted modules')
  }
}

function* array(c: CheckContext, name: string, struct: string): Generator<Seen> {
  const { symbols, types, mem } = c.target
  const symbol = symbols.findKernel(name)
  const type = types.findStruct(struct)
  if (symbol === undefined || type === undefined) return
  const count = Math.min(ARRAY_MAX, Math.floor(symbol.size / mem.wordSize))
  for (let i = 0; i < count; i++) {
    const at = symbol.va + i * mem.wordSize
    const to = mem.pointer(at)
    if (to !== 0) yield* c.guard(`${name}[${i}]`, () => functions(c, `${name}[${i}]`, type, to))
  }
}

/** `ptype_all` and `ptype_base`: who is handed each frame. @see net/core/dev.c */
function* packetTypes(c: CheckContext): Generator<Seen> {
  const { symbols, types, mem } = c.target
  if (!types.has('packet_type', 'list')) return
  const all = symbols.findKernel('ptype_all')
  const base = symbols.findKernel('ptype_base')
  const heads: [string, Va][] = all === undefined ? [] : [['ptype_all', all.va]]
  for (let i = 0; base !== undefined && i < PTYPE_HASH_SIZE; i++)
    heads.push([`ptype_base[${i}]`, base.va + i * 2 * mem.wordSize])
  for (const [name, head] of heads) {
    if (mem.word(head) === 0n) continue
    let number = 0
    for (const entry of list_for_each_entry(types, mem, head, 'packet_type', 'list', TYPES_MAX))
      yield c.pointer(`${name}[${number++}].func`, entry.$vaOf('func'), 'tainted modules')
  }
}
