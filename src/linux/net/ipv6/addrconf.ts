/** The IPv6 addresses of this machine: `::1` of the loopback device, found by hash in `net.ipv6.inet6_addr_lst`. */

import type { Va } from '../../../base/addr.ts'
import { htonl } from '../../../base/u32.ts'
import type { in6_addr, inet6_dev, inet6_ifaddr, net_device } from '../../../btf/vmlinux.ts'
import {
  IF_READY,
  IFA_F_PERMANENT,
  IFA_F_TENTATIVE,
  IFA_HOST,
  IFA_LINK,
  IFAPROT_KERNEL_LO,
  IN6_ADDR_HSIZE_SHIFT,
  INFINITY_LIFE_TIME,
  IPV6_DEFAULT_HOPLIMIT,
} from '../../../abi/in6.ts'
import { hlist_add_head, hlist_for_each_entry } from '../../../structures/hlist.ts'
import { INIT_LIST_HEAD, list_add } from '../../../structures/list.ts'
import { ipv6_addr_equal, ipv6_addr_hash } from '../../include/net/ipv6.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { jiffies } from '../../kernel/time/timekeeping.ts'
import { refcount_set } from '../../lib/refcount.ts'
import { kzalloc } from '../../mm/slab.ts'
import { init_net } from '../core/net_namespace.ts'

const FILE = 'net/ipv6/addrconf.c'
const GOLDEN_RATIO_32 = 0x61c8_8647

/** The chain of an address. @see net/ipv6/addrconf.c:inet6_addr_hash */
function addrChain(k: Kernel, addr: in6_addr): Va {
  const { hash_mix, ipv6 } = init_net(k)
  const slot = Math.imul(ipv6_addr_hash(addr) ^ hash_mix, GOLDEN_RATIO_32) >>> (32 - IN6_ADDR_HSIZE_SHIFT)
  return k.mem.pointer(ipv6.$vaOf('inet6_addr_lst')) + slot * k.mem.wordSize
}

/**
 * Is the address one of ours, and usable?
 *
 * @param dev    the device it must be on when its scope is that narrow; `null`: any
 * @param strict whatever its scope, it must be on `dev`
 * @see net/ipv6/addrconf.c:__ipv6_chk_addr_and_flags
 */
export const ipv6_chk_addr = kfunc(
  FILE,
  function ipv6_chk_addr(k: Kernel, addr: in6_addr, dev: net_device | null, strict: boolean): boolean {
    const chain = addrChain(k, addr)
    for (const ifp of hlist_for_each_entry(k.types, k.mem, chain, 'inet6_ifaddr', 'addr_lst')) {
      if (!ipv6_addr_equal(ifp.addr, addr) || (ifp.flags & IFA_F_TENTATIVE) !== 0) continue
      const narrow = strict || (ifp.scope & (IFA_LINK | IFA_HOST)) !== 0
      if (dev === null || !narrow || ifp.idev?.dev?.$va === dev.$va) return true
    }
    return false
  },
)

/**
 * A device begins to speak IPv6.
 * @remarks of its settings only those a new socket can show; no neighbour discovery, no multicast listening
 */
export const ipv6_add_dev = kfunc(FILE, function ipv6_add_dev(k: Kernel, dev: net_device): inet6_dev {
  const idev = k.ref('inet6_dev', kzalloc(k, k.types.sizeof('inet6_dev')))
  idev.dev = dev
  INIT_LIST_HEAD(k.mem, idev.addr_list.$va)
  INIT_LIST_HEAD(k.mem, idev.tempaddr_list.$va)
  idev.cnf.hop_limit = IPV6_DEFAULT_HOPLIMIT
  idev.cnf.mtu6 = dev.mtu
  refcount_set(idev.refcnt, 1)
  idev.if_flags = IF_READY
  idev.tstamp = jiffies(k)
  dev.ip6_ptr = idev
  return idev
})

/** `::1/128`, for good. @see net/ipv6/addrconf.c:init_loopback, add_addr */
const ipv6_add_addr = kfunc(FILE, function ipv6_add_addr(k: Kernel, idev: inet6_dev): inet6_ifaddr {
  const ifp = k.ref('inet6_ifaddr', kzalloc(k, k.types.sizeof('inet6_ifaddr')))
  k.mem.setU32(ifp.addr.$va + 12, htonl(1))
  ifp.prefix_len = 128
  ifp.valid_lft = INFINITY_LIFE_TIME
  ifp.prefered_lft = INFINITY_LIFE_TIME
  ifp.flags = IFA_F_PERMANENT
  ifp.scope = IFA_HOST
  ifp.ifa_proto = IFAPROT_KERNEL_LO
  ifp.cstamp = jiffies(k)
  ifp.tstamp = ifp.cstamp
  ifp.idev = idev
  refcount_set(idev.refcnt, idev.refcnt.refs.counter + 1)
  refcount_set(ifp.refcnt, 1)
  hlist_add_head(k.mem, ifp.addr_lst.$va, addrChain(k, ifp.addr))
  list_add(k.mem, ifp.if_list.$va, idev.addr_list.$va)
  return ifp
})

/** @see net/ipv6/addrconf.c:addrconf_init */
export function addrconf_init(k: Kernel): void {
  const net = init_net(k)
  const table = kzalloc(k, k.mem.wordSize << IN6_ADDR_HSIZE_SHIFT)
  k.mem.setPointer(net.ipv6.$vaOf('inet6_addr_lst'), table)
  const lo = net.loopback_dev
  if (lo !== null) ipv6_add_addr(k, ipv6_add_dev(k, lo))
}
