/**
 * Netfilter hooks: registering them, and asking them about a packet. All there is to know lies in memory: each place
 * of `net->nf` points at a `struct nf_hook_entries`, functions with their private words, sorted by priority, and
 * behind them pointers to the `struct nf_hook_ops` they were registered with.
 *
 * @see net/netfilter/core.c, include/linux/netfilter.h
 */

import type { Va } from '../../../base/addr.ts'
import type {
  net,
  net_device,
  nf_hook_entries,
  nf_hook_ops,
  nf_hook_state,
  sk_buff,
  sock,
} from '../../../btf/vmlinux.ts'
import { EINVAL, EPERM, ESRCH, E2BIG } from '../../../abi/errno.ts'
import * as NF from '../../../abi/netfilter.ts'
import { kfunc, type KFunctionInfo } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { pr_warn } from '../../kernel/printk/printk.ts'
import { kvfree, kvzalloc } from '../../mm/slab.ts'
import { kfree_skb } from '../core/skbuff.ts'

const FILE = 'net/netfilter/core.c'
/** More hooks in one place are refused. */
const MAX_HOOK_COUNT = 1024
const GONE_PRIORITY = -0x8000_0000

/** `nf_hookfn`: a verdict, NF_…, with an errno or a queue in its upper half */
export type NfHookFn = (k: Kernel, priv: bigint, skb: sk_buff, state: nf_hook_state) => number

/** Where a packet is, and the devices it passes between. */
export interface HookPlace {
  readonly hook: number
  readonly net: net
  readonly sk: sock | null
  readonly in: net_device | null
  readonly out: net_device | null
  /** What goes on with the packet. */
  readonly okfn?: { readonly kfunc: KFunctionInfo }
}

// ---- the entries of one place

/** Addresses within a `struct nf_hook_entries` of so many hooks. */
function layout(k: Kernel, entries: Va, count: number) {
  const hooks = entries + k.types.offsetof('nf_hook_entries', 'hooks')
  const entry = k.types.sizeof('nf_hook_entry')
  const ops = hooks + count * entry
  return {
    hook: (i: number): Va => hooks + i * entry,
    priv: (i: number): Va => hooks + i * entry + k.types.offsetof('nf_hook_entry', 'priv'),
    ops: (i: number): Va => ops + i * k.mem.wordSize,
    rcu: ops + count * k.mem.wordSize,
  }
}

const countOf = (k: Kernel, entries: Va): number => (entries === 0 ? 0 : k.mem.u16(entries))

/** One hook: its function, private word and what it was registered with. */
interface Entry {
  readonly hook: bigint
  readonly priv: bigint
  readonly ops: Va
}

/** Hooks of a place that are not being removed. */
function entriesOf(k: Kernel, entries: Va): Entry[] {
  const count = countOf(k, entries)
  const at = layout(k, entries, count)
  const gone = dummyOps(k).$va
  return Array.from({ length: count }, (_, i) => ({
    hook: k.mem.word(at.hook(i)),
    priv: k.mem.word(at.priv(i)),
    ops: k.mem.pointer(at.ops(i)),
  })).filter(({ ops }) => ops !== gone)
}

/** @see net/netfilter/core.c:allocate_hook_entries_size */
function allocate(k: Kernel, list: readonly Entry[]): Va {
  const rcu = k.types.sizeof('nf_hook_entries_rcu_head')
  const va = kvzalloc(k, layout(k, 0, list.length).rcu + rcu)
  const at = layout(k, va, list.length)
  k.ref('nf_hook_entries', va).num_hook_entries = list.length
  list.forEach(({ hook, priv, ops }, i) => {
    k.mem.setWord(at.hook(i), hook)
    k.mem.setWord(at.priv(i), priv)
    k.mem.setPointer(at.ops(i), ops)
  })
  return va
}

/** @remarks readers do not outlive the call here, so the memory goes at once @see net/netfilter/core.c:nf_hook_entries_free */
function nf_hook_entries_free(k: Kernel, entries: Va): void {
  if (entries === 0) return
  k.ref('nf_hook_entries_rcu_head', layout(k, entries, countOf(k, entries)).rcu).allocation = BigInt(entries)
  kvfree(k, entries)
}

/** Stands in for a hook that is being removed. */
const accept_all = kfunc(FILE, function accept_all(): number {
  return NF.NF_ACCEPT
})

const dummyOps = (k: Kernel): nf_hook_ops => k.global('dummy_ops', 'nf_hook_ops')

/** @see net/netfilter/core.c:netfilter_init */
export function netfilter_init(k: Kernel): void {
  const ops = dummyOps(k)
  ops.hook = k.text(accept_all)
  ops.priority = GONE_PRIORITY
}

/**
 * One hook more. Of hooks with the same priority the one registered last is asked first.
 * @returns the new entries, or -E2BIG
 * @see net/netfilter/core.c:nf_hook_entries_grow
 */
const nf_hook_entries_grow = kfunc(FILE, function nf_hook_entries_grow(k: Kernel, old: Va, reg: nf_hook_ops):
  { entries: Va } | number {
  const list = entriesOf(k, old)
  if (list.length + 1 > MAX_HOOK_COUNT) return -E2BIG
  const before = list.findIndex(({ ops }) => reg.priority <= k.ref('nf_hook_ops', ops).priority)
  const added = { hook: reg.hook, priv: reg.priv, ops: reg.$va }
  list.splice(before < 0 ? list.length : before, 0, added)
  return { entries: allocate(k, list) }
})

/** The pointer to a place's entries. @returns 0 when there is no such place @see net/netfilter/core.c:nf_hook_entry_head */
const nf_hook_entry_head = kfunc(
  FILE,
  function nf_hook_entry_head(k: Kernel, net: net, pf: number, hooknum: number): Va {
    const tables: Readonly<Record<number, 'hooks_ipv4' | 'hooks_ipv6' | 'hooks_arp' | 'hooks_bridge'>> = {
      [NF.NFPROTO_IPV4]: 'hooks_ipv4',
      [NF.NFPROTO_IPV6]: 'hooks_ipv6',
      [NF.NFPROTO_ARP]: 'hooks_arp',
      [NF.NFPROTO_BRIDGE]: 'hooks_bridge',
    }
    const name = tables[pf]
    if (name === undefined || !net.nf.$has(name)) return 0
    const table = net.nf[name]
    return hooknum < table.length ? table.$vaAt(hooknum) : 0
  },
)

/** `nf_hooks_needed[pf][hooknum]`: packets ask a place only where this says that somebody is there. */
const needed = (k: Kernel, pf: number, hooknum: number) =>
  k.global('nf_hooks_needed', 'static_key').$index(pf * NF.NF_MAX_HOOKS + hooknum)

function need(k: Kernel, pf: number, hooknum: number, by: number): void {
  const { enabled } = needed(k, pf, hooknum)
  enabled.counter = enabled.counter + by
}

const __nf_register_net_hook = kfunc(
  FILE,
  function __nf_register_net_hook(k: Kernel, net: net, pf: number, reg: nf_hook_ops): number {
    const head = nf_hook_entry_head(k, net, pf, reg.hooknum)
    if (head === 0) return -EINVAL
    const old = k.mem.pointer(head)
    const grown = nf_hook_entries_grow(k, old, reg)
    if (typeof grown === 'number') return grown
    k.mem.setPointer(head, grown.entries)
    need(k, pf, reg.hooknum, 1)
    nf_hook_entries_free(k, old)
    return 0
  },
)

/**
 * @param reg `const struct nf_hook_ops *`, which must stay where it is while the hook is registered
 * @returns 0, -EINVAL for a place there is not, -E2BIG
 * @see net/netfilter/core.c:nf_register_net_hook
 */
export const nf_register_net_hook = kfunc(
  FILE,
  function nf_register_net_hook(k: Kernel, net: net, reg: nf_hook_ops): number {
    if (reg.pf !== NF.NFPROTO_INET) return __nf_register_net_hook(k, net, reg.pf, reg)
    const err = __nf_register_net_hook(k, net, NF.NFPROTO_IPV4, reg)
    if (err < 0) return err
    const err6 = __nf_register_net_hook(k, net, NF.NFPROTO_IPV6, reg)
    if (err6 < 0) __nf_unregister_net_hook(k, net, NF.NFPROTO_IPV4, reg)
    return err6
  },
)

/** The hook's slot does nothing from here on. @see net/netfilter/core.c:nf_remove_net_hook */
function nf_remove_net_hook(k: Kernel, entries: Va, unreg: nf_hook_ops): boolean {
  const count = countOf(k, entries)
  const at = layout(k, entries, count)
  for (let i = 0; i < count; i++) {
    if (k.mem.pointer(at.ops(i)) !== unreg.$va) continue
    k.mem.setWord(at.hook(i), k.text(accept_all))
    k.mem.setPointer(at.ops(i), dummyOps(k).$va)
    return true
  }
  return false
}

/** Leave out the slots of removed hooks. @returns the old entries, for freeing; 0 when nothing changed */
const __nf_hook_entries_try_shrink = kfunc(
  FILE,
  function __nf_hook_entries_try_shrink(k: Kernel, old: Va, head: Va): Va {
    const left = entriesOf(k, old)
    if (left.length === countOf(k, old)) return 0
    k.mem.setPointer(head, left.length === 0 ? 0 : allocate(k, left))
    return old
  },
)

const __nf_unregister_net_hook = kfunc(
  FILE,
  function __nf_unregister_net_hook(k: Kernel, net: net, pf: number, reg: nf_hook_ops): void {
    const head = nf_hook_entry_head(k, net, pf, reg.hooknum)
    if (head === 0) return
    const entries = k.mem.pointer(head)
    if (entries !== 0 && nf_remove_net_hook(k, entries, reg)) need(k, pf, reg.hooknum, -1)
    else pr_warn(k, `hook not found, pf ${pf} num ${reg.hooknum}`)
    nf_hook_entries_free(k, __nf_hook_entries_try_shrink(k, entries, head))
  },
)

/** @see net/netfilter/core.c:nf_unregister_net_hook */
export const nf_unregister_net_hook = kfunc(
  FILE,
  function nf_unregister_net_hook(k: Kernel, net: net, reg: nf_hook_ops): void {
    const both = reg.pf === NF.NFPROTO_INET
    for (const pf of both ? [NF.NFPROTO_IPV4, NF.NFPROTO_IPV6] : [reg.pf])
      __nf_unregister_net_hook(k, net, pf, reg)
  },
)

/** An array of hooks: all of them or none. @see net/netfilter/core.c:nf_register_net_hooks */
export const nf_register_net_hooks = kfunc(
  FILE,
  function nf_register_net_hooks(k: Kernel, net: net, reg: nf_hook_ops, n: number): number {
    for (let i = 0; i < n; i++) {
      const err = nf_register_net_hook(k, net, reg.$index(i))
      if (err === 0) continue
      if (i > 0) nf_unregister_net_hooks(k, net, reg, i)
      return err
    }
    return 0
  },
)

/** @see net/netfilter/core.c:nf_unregister_net_hooks */
export const nf_unregister_net_hooks = kfunc(
  FILE,
  function nf_unregister_net_hooks(k: Kernel, net: net, reg: nf_hook_ops, count: number): void {
    for (let i = count - 1; i >= 0; i--) nf_unregister_net_hook(k, net, reg.$index(i))
  },
)

// ---- asking

/**
 * A packet for a program that decides: nobody has opened a queue, so it is dropped, unless the hook said to go on then.
 * @returns 1 to ask the next hook, else 0
 * @see net/netfilter/nf_queue.c:nf_queue
 */
const nf_queue = kfunc(
  'net/netfilter/nf_queue.c',
  function nf_queue(k: Kernel, skb: sk_buff, _state: nf_hook_state, _index: number, verdict: number): number {
    const ret: number = -ESRCH
    if (ret === -ESRCH && (verdict & NF.NF_VERDICT_FLAG_QUEUE_BYPASS) !== 0) return 1
    kfree_skb(k, skb)
    return 0
  },
)

/** Kernels before 4.10 asked again on NF_REPEAT and let the packet pass the others on NF_STOP. */
function obsolete(k: Kernel, verdict: number): 'again' | 'pass' | 'keep' {
  const [major = 0, minor = 0] = k.profile.release.split('.').map(Number)
  if (major > 4 || (major === 4 && minor >= 10)) return 'keep'
  return verdict === NF.NF_REPEAT ? 'again' : verdict === NF.NF_STOP ? 'pass' : 'keep'
}

/**
 * Ask the hooks of one place, from the `s`th on, each through its address in memory.
 * @returns 1 when the packet may go on, a negative errno when it was dropped (and freed), 0 when a hook kept it; NF_REPEAT
 *   and NF_STOP count as kept since 4.10
 * @remarks the state lies on this function's frame, not on that of whoever the compiler inlined nf_hook() into
 */
export const nf_hook_slow = kfunc(
  FILE,
  function nf_hook_slow(k: Kernel, skb: sk_buff, place: HookPlace, e: nf_hook_entries, s: number): number {
    const state = k.local('nf_hook_state')
    fill(k, state, place)
    const count = e.num_hook_entries
    const at = layout(k, e.$va, count)
    for (let i = s; i < count; i++) {
      const hook = k.indirect<NfHookFn>(k.mem.word(at.hook(i)))
      const verdict = hook(k, k.mem.word(at.priv(i)), skb, state)
      const kind = verdict & NF.NF_VERDICT_MASK
      if (kind === NF.NF_ACCEPT) continue
      if (kind === NF.NF_DROP) {
        kfree_skb(k, skb)
        return NF.NF_DROP_GETERR(verdict) || -EPERM
      }
      if (kind === NF.NF_QUEUE) {
        if (nf_queue(k, skb, state, i, verdict) !== 1) return 0
        continue
      }
      const old = obsolete(k, kind)
      if (old === 'keep') return 0
      if (old === 'pass') return 1
      i--
    }
    return 1
  },
  { locals: 64 },
)

/** @see include/linux/netfilter.h:nf_hook_state_init */
function fill(k: Kernel, state: nf_hook_state, place: HookPlace): void {
  state.hook = place.hook
  state.pf = NF.NFPROTO_IPV4
  state.in = place.in
  state.out = place.out
  state.sk = place.sk
  state.net = place.net
  state.okfn = place.okfn === undefined ? 0n : (k.textIfAny(place.okfn.kfunc) ?? 0n)
}

/** Ask the hooks of one place in IPv4. @returns as {@link nf_hook_slow}: 1 goes on @see include/linux/netfilter.h:nf_hook */
export function nf_hook(k: Kernel, skb: sk_buff, place: HookPlace): number {
  if (needed(k, NF.NFPROTO_IPV4, place.hook).enabled.counter <= 0) return 1
  const entries = k.mem.pointer(place.net.nf.hooks_ipv4.$vaAt(place.hook))
  return entries === 0 ? 1 : nf_hook_slow(k, skb, place, k.ref('nf_hook_entries', entries), 0)
}
