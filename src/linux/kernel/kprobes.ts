/**
 * Kernel probes: `struct kprobe` in the hash of probed addresses, armed by the machine's function watcher.
 *
 * @see kernel/kprobes.c
 * @remarks probes sit on function entries only (KPROBES_ON_FTRACE: nothing is written into text); a second probe
 * of an address stands beside the first in its chain, without an aggregate.
 */

import { toVa, type Va } from '../../base/addr.ts'
import { EINVAL, ENOENT } from '../../abi/errno.ts'
import { hash_ptr, KPROBE_FLAG_DISABLED, KPROBE_FLAG_FTRACE, KPROBE_HASH_BITS } from '../../abi/kprobes.ts'
import type { kprobe, kretprobe } from '../../btf/vmlinux.ts'
import { hlist_add_head, hlist_del_rcu, hlist_for_each } from '../../structures/hlist.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { perKernel, type FunctionWatcher, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { kallsyms_lookup_name } from './kallsyms.ts'

const FILE = 'kernel/kprobes.c'

/** `kprobe_pre_handler_t`; the arguments of the probed call stand for `struct pt_regs`. */
export type PreHandler = (k: Kernel, p: kprobe, args: readonly unknown[]) => number
/** `kretprobe_handler_t`; what the probed function returned stands for `struct pt_regs`. */
export type ReturnHandler = (k: Kernel, rp: kretprobe, result: unknown) => number

/** What disarms a probe, by the address of its `struct kprobe`. */
const armed = perKernel(() => new Map<Va, () => void>())

const bucket = (k: Kernel, address: bigint): Va =>
  toVa(k.sym('kprobe_table'), k.mem.wordSize) +
  hash_ptr(address, KPROBE_HASH_BITS, k.mem.wordSize) * k.mem.wordSize

/** The probe at an address, if any. @see kernel/kprobes.c:get_kprobe */
export function get_kprobe(k: Kernel, address: bigint): kprobe | null {
  for (const node of hlist_for_each(k.mem, bucket(k, address))) {
    const p = k.ref('kprobe', node)
    if (p.addr === address) return p
  }
  return null
}

function symbolName(k: Kernel, p: kprobe): string {
  const at = toVa(p.symbol_name, k.mem.wordSize)
  let name = ''
  for (let i = 0; i < 512; i++) {
    const c = k.mem.u8(at + i)
    if (c === 0) break
    name += String.fromCharCode(c)
  }
  return name
}

/**
 * Probe the function `p.addr` or `p.symbol_name` says; `p.addr` is filled in.
 *
 * @param p `struct kprobe *` in the caller's memory
 * @returns 0, -EINVAL (both or neither of address and name, or registered already), -ENOENT (no such symbol)
 * @see kernel/kprobes.c:register_kprobe
 */
export const register_kprobe = kfunc(FILE, function register_kprobe(k, p: kprobe): number {
  if ((p.symbol_name !== 0n) === (p.addr !== 0n)) return -EINVAL
  const address = p.addr !== 0n ? p.addr : kallsyms_lookup_name(k, symbolName(k, p))
  if (address === 0n) return -ENOENT
  if (armed(k).has(p.$va)) return -EINVAL
  const target = k.codeAt(address)
  p.addr = address + BigInt(p.offset)
  p.flags = (p.flags & KPROBE_FLAG_DISABLED) | (p.offset === 0 ? KPROBE_FLAG_FTRACE : 0)
  p.nmissed = 0n
  INIT_LIST_HEAD(k.mem, p.list.$va)
  hlist_add_head(k.mem, p.hlist.$va, bucket(k, p.addr))
  armed(k).set(
    p.$va,
    target === undefined ? () => undefined : k.watch(k.named(target.kfunc).name, watcher(k, p)),
  )
  return 0
})

/** Call the handlers as they lie in memory when the probe is hit. */
function watcher(k: Kernel, p: kprobe): FunctionWatcher {
  return {
    entered: (_, args) => {
      if (p.pre_handler !== 0n) k.indirect<PreHandler>(p.pre_handler)(k, p, args)
    },
    returned: () => undefined,
  }
}

/** @see kernel/kprobes.c:unregister_kprobe */
export const unregister_kprobe = kfunc(FILE, function unregister_kprobe(k, p: kprobe): void {
  const disarm = armed(k).get(p.$va)
  if (disarm === undefined) return
  armed(k).delete(p.$va)
  disarm()
  hlist_del_rcu(k.mem, p.hlist.$va)
})

/**
 * Probe a function's return.
 * @returns as {@link register_kprobe}
 * @see kernel/kprobes.c:register_kretprobe
 */
export const register_kretprobe = kfunc(FILE, function register_kretprobe(k, rp: kretprobe): number {
  if (rp.maxactive <= 0) rp.maxactive = Math.max(10, 2 * k.nr_cpu_ids)
  rp.nmissed = 0
  const rc = register_kprobe(k, rp.kp)
  if (rc !== 0) return rc
  const target = k.codeAt(rp.kp.addr)
  if (target === undefined) return 0
  const unwatch = k.watch(k.named(target.kfunc).name, {
    entered: () => undefined,
    returned: (_, result) => {
      if (rp.handler !== 0n) k.indirect<ReturnHandler>(rp.handler)(k, rp, result)
    },
  })
  const disarm = armed(k).get(rp.kp.$va)
  armed(k).set(rp.kp.$va, () => {
    disarm?.()
    unwatch()
  })
  return 0
})

/** @see kernel/kprobes.c:unregister_kretprobe */
export const unregister_kretprobe = kfunc(FILE, function unregister_kretprobe(k, rp: kretprobe): void {
  unregister_kprobe(k, rp.kp)
})
