/**
 * Netfilter hooks: the entries of `net->nf.hooks_ipv4[hook]` are asked in order, through memory.
 *
 * @see net/netfilter/core.c:nf_hook_slow, include/linux/netfilter.h:nf_hook
 */

import type { net, net_device, sk_buff, sock } from '../../../btf/vmlinux.ts'
import { NF_ACCEPT, NF_DROP, NF_STOLEN } from '../../../abi/if.ts'
import { EPERM } from '../../../abi/errno.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kfree_skb } from '../core/skbuff.ts'

type Hook = (k: Kernel, priv: bigint, skb: sk_buff, state: unknown) => number

/** The first places a packet passes: where it is, and the devices it passes between. */
export interface HookPlace {
  readonly hook: number
  readonly net: net
  readonly sk: sock | null
  readonly in: net_device | null
  readonly out: net_device | null
}

/**
 * @returns 1 when the packet may go on, a negative errno when it was dropped (and freed), 0 when a hook kept it
 */
const nf_hook_slow = kfunc(
  'net/netfilter/core.c',
  function nf_hook_slow(k: Kernel, skb: sk_buff, place: HookPlace, entries: number): number {
    const state = k.local('nf_hook_state')
    state.hook = place.hook
    state.pf = 2
    state.in = place.in
    state.out = place.out
    state.sk = place.sk
    state.net = place.net
    const count = k.mem.u16(entries)
    const word = k.mem.wordSize
    for (let i = 0; i < count; i++) {
      const entry = entries + word + i * 2 * word
      const hook = k.indirect<Hook>(k.mem.word(entry))
      const verdict = hook(k, k.mem.word(entry + word), skb, state) & 0xff
      if (verdict === NF_ACCEPT) continue
      if (verdict === NF_DROP) {
        kfree_skb(k, skb)
        return -EPERM
      }
      if (verdict === NF_STOLEN) return 0
    }
    return 1
  },
  { locals: 64 },
)

/** Ask the hooks of one place in IPv4. @returns as {@link nf_hook_slow}: 1 goes on */
export function nf_hook(k: Kernel, skb: sk_buff, place: HookPlace): number {
  const entries = k.mem.pointer(place.net.nf.hooks_ipv4.$vaAt(place.hook))
  return entries === 0 ? 1 : nf_hook_slow(k, skb, place, entries)
}
