/** `inet_protos[]`: which function takes a protocol's packets. @see net/ipv4/protocol.c */

import { toVa } from '../../../base/addr.ts'
import type { net_protocol } from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'

/** @see net/ipv4/protocol.c:inet_add_protocol */
export function inet_add_protocol(k: Kernel, prot: net_protocol, protocol: number): void {
  k.mem.setPointer(toVa(k.sym('inet_protos'), k.mem.wordSize) + protocol * k.mem.wordSize, prot.$va)
}

export function inet_proto(k: Kernel, protocol: number): net_protocol | null {
  const va = k.mem.pointer(toVa(k.sym('inet_protos'), k.mem.wordSize) + protocol * k.mem.wordSize)
  return va === 0 ? null : k.ref('net_protocol', va)
}
