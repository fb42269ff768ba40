/** `init_net`: the one network namespace. @see net/core/net_namespace.c:net_ns_init */

import { toVa } from '../../../base/addr.ts'
import type { net } from '../../../btf/vmlinux.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../../structures/list.ts'
import { perKernel, type Kernel } from '../../kernel.ts'

/** The namespace every socket and device is in. */
export const init_net: (k: Kernel) => net = perKernel((k) => k.global('init_net', 'net'))

/** @see net/core/net_namespace.c:setup_net */
export function net_ns_init(k: Kernel): void {
  const net = init_net(k)
  const list = toVa(k.sym('net_namespace_list'), k.mem.wordSize)
  INIT_LIST_HEAD(k.mem, list)
  list_add_tail(k.mem, net.list.$va, list)
  INIT_LIST_HEAD(k.mem, net.dev_base_head.$va)
  net.passive.refs.counter = 1
  net.ns.count.refs.counter = 1
  net.ns.inum = 0xf0000000 + 0x70
  net.user_ns = k.global('init_user_ns', 'user_namespace')
  net.hash_mix = k.random.u32()
  net.net_cookie = 1n
  net.ifindex = 0
  net.dev_base_seq = 1
}
