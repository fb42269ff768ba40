/** What lies at an address: which object, which member, in the kernel's names. */

import { toAddr, type Va } from '../base/addr.ts'
import { isStruct, strip, type StructType, type Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'
import { slab_object } from '../helpers/slab-object.ts'
import { task_stack, thread_size } from '../helpers/stack.ts'
import { task_table } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'

/** A place with a name. */
export interface Named {
  /** `tcp_request_sock`, `tcp_hashinfo`, `kmalloc-1k`, `stack of PID 7 "ncat"` */
  readonly object: string
  /** start of the object */
  readonly address: bigint
  /** bytes from the object's start */
  readonly offset: number
  /** the member's path, where the object's type is known */
  readonly member: string | undefined
  /** a shorter name the kernel's source uses for it */
  readonly alias: string | undefined
}

/** Caches whose objects have one type. @see the calls of kmem_cache_create in the kernel's tree */
const CACHE_TYPES: Readonly<Record<string, string>> = {
  TCP: 'tcp_sock',
  TCPv6: 'tcp6_sock',
  UDP: 'udp_sock',
  UDPv6: 'udp6_sock',
  UNIX: 'unix_sock',
  'UNIX-STREAM': 'unix_sock',
  RAW: 'raw_sock',
  PING: 'inet_sock',
  PACKET: 'packet_sock',
  request_sock_TCP: 'tcp_request_sock',
  request_sock_TCPv6: 'tcp6_request_sock',
  tw_sock_TCP: 'tcp_timewait_sock',
  tw_sock_TCPv6: 'tcp6_timewait_sock',
  tcp_bind_bucket: 'inet_bind_bucket',
  tcp_bind2_bucket: 'inet_bind2_bucket',
  sock_inode_cache: 'socket_alloc',
  skbuff_head_cache: 'sk_buff',
  skbuff_fclone_cache: 'sk_buff_fclones',
  filp: 'file',
  dentry: 'dentry',
  inode_cache: 'inode',
  task_struct: 'task_struct',
  cred_jar: 'cred',
  files_cache: 'files_struct',
  fs_cache: 'fs_struct',
  mm_struct: 'mm_struct',
  vm_area_struct: 'vm_area_struct',
  signal_cache: 'signal_struct',
  sighand_cache: 'sighand_struct',
  pid: 'pid',
  mnt_cache: 'mount',
  nsproxy: 'nsproxy',
  ip_dst_cache: 'rtable',
}

/** Members of a sock_common by the names the code around them uses. @see include/net/inet_sock.h, inet_timewait_sock.h */
const ALIASES: Readonly<Record<'full' | 'request' | 'timewait', Readonly<Record<string, string>>>> = {
  full: { skc_daddr: 'inet_daddr', skc_rcv_saddr: 'inet_rcv_saddr', skc_dport: 'inet_dport', skc_num: 'inet_num', skc_state: 'sk_state' },
  request: { skc_daddr: 'ir_rmt_addr', skc_rcv_saddr: 'ir_loc_addr', skc_dport: 'ir_rmt_port', skc_num: 'ir_num', skc_state: 'sk_state' },
  timewait: { skc_daddr: 'tw_daddr', skc_rcv_saddr: 'tw_rcv_saddr', skc_dport: 'tw_dport', skc_num: 'tw_num', skc_state: 'tw_state' },
} // prettier-ignore

/**
 * Name the object an address lies in: an object of a slab cache, a global variable, a task's stack.
 *
 * @param size  bytes looked at: tells the members of a union apart
 * @returns undefined for memory without a name
 */
export function placeOf(target: Target, va: Va, size = 1): Named | undefined {
  return placeOfSlab(target, va, size) ?? inStack(target, va) ?? inImage(target, va, size)
}

/**
 * A name as text: `tcp_sock ffff888007a4e040 __sk_common.skc_daddr (inet_daddr)`.
 *
 * @param at  the address it names: an object that begins there is not given its own once more
 */
export function placeText(place: Named, at: bigint): string {
  const { object, address, offset, member, alias } = place
  if (member === undefined) return offset === 0 ? object : `${object}+0x${offset.toString(16)}`
  const where = address === at ? '' : ` ${address.toString(16)}`
  const also = alias === undefined ? '' : ` (${alias})`
  return `${object}${where} ${member}${also}`
}

/** As {@link placeOf}, objects of slab caches only: looks at no other object, however many there are. */
export function placeOfSlab(target: Target, va: Va, size: number): Named | undefined {
  const phys = va < 0 || target.wordSize === 4 ? target.virtToPhys(va) : undefined
  if (phys === undefined) return undefined
  const found = slab_object(target, va, Math.floor(phys / 4096))
  if (found === undefined) return undefined
  const offset = va - found.va
  const type = target.types.findStruct(CACHE_TYPES[found.cache] ?? '')
  const object = type?.name ?? found.cache
  const member = type === undefined ? undefined : memberAt(target.types, type, offset, size)
  const alias = member === undefined ? undefined : aliasOf(object, member)
  return { object, address: toAddr(found.va), offset, member, alias }
}

/** What the object is decides, not `skc_state`: it may have been freed since. */
function aliasOf(object: string, member: string): string | undefined {
  const [, leaf = ''] = /_common\.(\w+)$/.exec(member) ?? []
  if (leaf === '') return undefined
  const kind = object.includes('request_sock') ? 'request' : object.includes('timewait') ? 'timewait' : 'full'
  return ALIASES[kind][leaf]
}

function inStack(target: Target, va: Va): Named | undefined {
  const size = thread_size(target)
  const owner = task_table(target).tasks.find(({ task }) => {
    const stack = task_stack(task)
    return va >= stack && va < stack + size
  })
  if (owner === undefined) return undefined
  const start = task_stack(owner.task)
  const object = `kernel stack of PID ${owner.pid} "${owner.comm}"`
  return { object, address: toAddr(start), offset: va - start, member: undefined, alias: undefined }
}

function inImage(target: Target, va: Va, size: number): Named | undefined {
  const hit = target.symbolize(va)
  if (hit === undefined || hit.offset >= Math.max(hit.size, 1)) return undefined
  const type = target.typeOf(hit.name)
  const plain = type === undefined ? undefined : strip(type)
  const member =
    plain !== undefined && isStruct(plain) ? memberAt(target.types, plain, hit.offset, size) : undefined
  return { object: hit.name, address: toAddr(va - hit.offset), offset: hit.offset, member, alias: undefined }
}

/** A member at any depth. */
interface Inside {
  readonly path: string
  readonly from: number
  readonly size: number
}

/** Nested deeper than any struct of the kernel. */
const DEPTH_MAX = 24

/**
 * Path of the smallest member that holds all of `size` bytes at an offset; of several as small, the outermost and
 * first. Undefined where only the struct itself does.
 */
export function memberAt(types: Types, type: StructType, offset: number, size: number): string | undefined {
  let best: Inside | undefined
  for (const inside of membersAt(types, type, '', 0, offset, 0)) {
    const holds = offset + size <= inside.from + inside.size
    if (holds && (best === undefined || inside.size < best.size)) best = inside
  }
  return best?.path
}

/** Every member an offset lies in, outer ones first; anonymous ones have no path of their own. */
function* membersAt(
  types: Types,
  of: Type,
  path: string,
  base: number,
  offset: number,
  depth: number,
): Generator<Inside> {
  const type = strip(of)
  if (depth > DEPTH_MAX) return
  if (type.kind === 'array') {
    const each = types.sizeof(type.element)
    const index = each === 0 ? 0 : Math.floor((offset - base) / each)
    if (index >= type.length) return
    const element = { path: `${path}[${index}]`, from: base + index * each, size: each }
    yield element
    yield* membersAt(types, type.element, element.path, element.from, offset, depth + 1)
    return
  }
  if (!isStruct(type)) return
  for (const member of type.members) {
    const from = base + Math.floor(member.bitOffset / 8)
    const bits = member.bitSize > 0 ? (member.bitOffset % 8) + member.bitSize : types.sizeof(member.type) * 8
    const size = Math.ceil(bits / 8)
    if (offset < from || offset >= from + size) continue
    const inside = member.name === '' ? path : path === '' ? member.name : `${path}.${member.name}`
    if (member.name !== '') yield { path: inside, from, size }
    yield* membersAt(types, member.type, inside, from, offset, depth + 1)
  }
}
