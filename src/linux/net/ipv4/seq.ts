/** What the texts of TCP and UDP in /proc/net have in common. @see net/ipv4/tcp_ipv4.c, net/ipv4/udp.c */

import { toVa, type Va } from '../../../base/addr.ts'
import type { seq_file, sock } from '../../../btf/vmlinux.ts'
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts'
import { siphash } from '../../../structures/siphash.ts'
import { seqElement } from '../../fs/seq_file.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import type { KFunction } from '../../kfunc.ts'

export const hex = (value: number | bigint, digits: number): string =>
  BigInt.asUintN(64, BigInt(value)).toString(16).toUpperCase().padStart(digits, '0')

/** An address of IPv4 or IPv6 as its words stand in memory. */
export const address4 = (k: Kernel, at: Va): string => hex(k.mem.u32(at), 8)
export const address6 = (k: Kernel, at: Va): string =>
  [0, 4, 8, 12].map((offset) => hex(k.mem.u32(at + offset), 8)).join('')

/** Of a port in network byte order. */
const port = (k: Kernel, at: Va): string => hex((k.mem.u8(at) << 8) | k.mem.u8(at + 1), 4)

/** @see net/core/sock.c:sock_i_ino */
export function sock_i_ino(k: Kernel, sk: sock): bigint {
  const { sk_socket } = sk
  if (sk_socket === null) return 0n
  return k.ref('inode', sk_socket.$va + k.types.offsetof('socket_alloc', 'vfs_inode')).i_ino
}

/** @see net/core/sock.c:sock_i_uid */
export function sock_i_uid(k: Kernel, sk: sock): number {
  const { sk_socket } = sk
  if (sk_socket === null) return 0
  return k.ref('inode', sk_socket.$va + k.types.offsetof('socket_alloc', 'vfs_inode')).i_uid.val
}

/**
 * `%pK`: since 4.15 not the address but a hash of it.
 * @see lib/vsprintf.c:ptr_to_id
 */
export function pointerText(k: Kernel, va: Va): string {
  const bits = k.mem.wordSize * 8
  const value = BigInt.asUintN(bits, BigInt(va))
  const [major = 0, minor = 0] = k.profile.release.split('.').map(Number)
  if (major < 4 || (major === 4 && minor < 15)) return value.toString(16).padStart(bits / 4, '0')
  const key = k.symbols.get('ptr_key')
  const at = key === undefined ? 0 : toVa(key, k.mem.wordSize)
  const word = (i: number): number => (at === 0 ? 0 : k.mem.u32(at + i * 4))
  const hashed = siphash(
    [word(0), word(1), word(2), word(3)],
    Number(value & 0xffff_ffffn),
    Number(value >> 32n),
  ).low
  return hashed.toString(16).padStart(bits / 4, '0')
}

/** The socks a reader iterates over: taken when it begins, forgotten when it stops. */
export const walked = perKernel(() => new Map<Va, readonly Va[]>())

/** The next element; where the reader is stands in the `struct seq_file`. */
export function nextElement(k: Kernel, m: seq_file): bigint {
  m.index = m.index + 1n
  return elementAt(k, m, m.index)
}

/** The family a reader's file shows. @param show6 what shows a line of the IPv6 one */
export const familyOf = (k: Kernel, m: seq_file, show6: KFunction): number =>
  m.op?.show === k.text(show6) ? AF_INET6 : AF_INET

/** Both ends of a sock: addresses and ports. @param address {@link address4} or {@link address6} */
export function ends(k: Kernel, sk: sock, address: (k: Kernel, at: Va) => string): string {
  const six = address === address6
  const local = address(k, sk.$vaOf(six ? '__sk_common.skc_v6_rcv_saddr' : '__sk_common.skc_rcv_saddr'))
  const remote = address(k, sk.$vaOf(six ? '__sk_common.skc_v6_daddr' : '__sk_common.skc_daddr'))
  const near = hex(sk.__sk_common.skc_num, 4)
  return `${local}:${near} ${remote}:${port(k, sk.$vaOf('__sk_common.skc_dport'))}`
}

/** An iterator's element: the header first, then the socks. */
export function elementAt(k: Kernel, m: seq_file, pos: bigint): bigint {
  if (pos === 0n) return 1n
  const va = walked(k).get(m.$va)?.[Number(pos) - 1]
  return va === undefined ? 0n : seqElement(va)
}
