/**
 * `nf_verdict hook=3 verdict=0 [proto=17] [dport=53] [err=113] [priority=0] [log=1]`: answers every packet that passes one
 * of IPv4's places with one verdict, or only those of a protocol and destination port. For finding out what a verdict does.
 */

import { ntohs } from '../base/u32.ts'
import { EINVAL } from '../abi/errno.ts'
import * as NF from '../abi/netfilter.ts'
import type { nf_hook_state, sk_buff } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { pr_info } from '../linux/kernel/printk/printk.ts'
import { init_net } from '../linux/net/core/net_namespace.ts'
import { ip_hdr } from '../linux/net/core/skbuff.ts'
import { nf_register_net_hook, nf_unregister_net_hook } from '../linux/net/netfilter/core.ts'
import { dotted } from './text.ts'

const NAME = 'nf_verdict'
const FILE = 'nf_verdict.c'
const OWN = { module: NAME } as const
const SIZEOF_NF_HOOK_OPS = 56

const self = (k: Kernel) => moduleOf(k, NAME)

/** The destination port behind an IP header of any length, wherever the packet comes from. */
const portOf = (k: Kernel, skb: sk_buff): number => {
  const iph = ip_hdr(k, skb)
  return ntohs(k.mem.u16(iph.$va + iph.ihl * 4 + 2))
}

/** `nf_hookfn` */
export const nf_verdict_hook = kfunc(
  FILE,
  function nf_verdict_hook(k, _priv: bigint, skb: sk_buff, state: nf_hook_state): number {
    const me = self(k)
    const iph = ip_hdr(k, skb)
    if (me.int('proto') !== 0 && iph.protocol !== me.int('proto')) return NF.NF_ACCEPT
    if (me.int('dport') !== 0 && portOf(k, skb) !== me.int('dport')) return NF.NF_ACCEPT
    if (me.int('log') !== 0) {
      const place = NF.NF_INET_NAMES[state.hook] ?? ''
      pr_info(k, `${NAME}: ${place} ${dotted(iph.saddr)} > ${dotted(iph.daddr)} protocol ${iph.protocol}`)
    }
    return ((me.int('err') << NF.NF_VERDICT_QBITS) | me.int('verdict')) >>> 0
  },
  OWN,
)

const nf_verdict_init = kfunc(
  FILE,
  function nf_verdict_init(k): number {
    const me = self(k)
    if (me.int('hook') < 0 || me.int('verdict') < 0 || me.int('verdict') > NF.NF_STOP) return -EINVAL
    const ops = k.ref('nf_hook_ops', me.sym('ops'))
    ops.hook = k.text(nf_verdict_hook)
    ops.pf = NF.NFPROTO_IPV4
    ops.hooknum = me.int('hook')
    ops.priority = me.int('priority')
    return nf_register_net_hook(k, init_net(k), ops)
  },
  OWN,
)

const nf_verdict_exit = kfunc(
  FILE,
  function nf_verdict_exit(k): void {
    nf_unregister_net_hook(k, init_net(k), k.ref('nf_hook_ops', self(k).sym('ops')))
  },
  OWN,
)

export const nf_verdict = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'coredrill',
  description: 'one verdict for every packet of one netfilter hook',
  version: '1.0',
  params: [
    { name: 'hook', type: 'int', value: NF.NF_INET_LOCAL_OUT, perm: 0o444, description: 'place, 0 PRE_ROUTING … 4 POST_ROUTING' },
    { name: 'verdict', type: 'int', value: NF.NF_DROP, perm: 0o644, description: '0 DROP, 1 ACCEPT, 2 STOLEN, 3 QUEUE, 4 REPEAT, 5 STOP' },
    { name: 'err', type: 'int', perm: 0o644, description: 'error number of a drop; upper half of the verdict' },
    { name: 'proto', type: 'int', perm: 0o644, description: 'IP protocol it is about, 0 for all' },
    { name: 'dport', type: 'int', perm: 0o644, description: 'destination port it is about, 0 for all' },
    { name: 'priority', type: 'int', perm: 0o444, description: 'smaller ones are asked first' },
    { name: 'log', type: 'int', perm: 0o644, description: 'log what is judged' },
  ], // prettier-ignore
  imports: ['_printk', 'init_net', 'nf_register_net_hook', 'nf_unregister_net_hook', 'param_ops_int'],
  variables: [{ name: 'ops', size: SIZEOF_NF_HOOK_OPS }],
  functions: [nf_verdict_hook],
  init: nf_verdict_init,
  exit: nf_verdict_exit,
})
