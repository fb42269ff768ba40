/**
 * Soft interrupts: work that interrupt handlers leave for later, run on the way out of the interrupt or when
 * bottom halves are enabled again.
 *
 * @see kernel/softirq.c
 * @remarks ksoftirqd is never needed: pending work is repeated until none is left
 */

import type { Va } from '../../base/addr.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'

/** @see include/linux/interrupt.h */
export const HI_SOFTIRQ = 0
export const TIMER_SOFTIRQ = 1
export const NET_TX_SOFTIRQ = 2
export const NET_RX_SOFTIRQ = 3
export const BLOCK_SOFTIRQ = 4
export const TASKLET_SOFTIRQ = 6
export const SCHED_SOFTIRQ = 7
export const HRTIMER_SOFTIRQ = 8
export const RCU_SOFTIRQ = 9

/** As much work as one run may find again. */
const MAX_SOFTIRQ_RESTART = 1000

/** A function of `softirq_vec`; its argument is the address of its entry. */
export type SoftirqAction = (k: Kernel, action: number) => void

const entry = (k: Kernel, nr: number): Va => k.global('softirq_vec', 'softirq_action').$index(nr).$va

/** `irq_stat.__softirq_pending` of this CPU. */
const pendingVa = (k: Kernel): Va => k.per_cpu('irq_stat', 'irq_cpustat_t').$vaOf('__softirq_pending')
/** @see include/linux/interrupt.h:local_softirq_pending */
export const local_softirq_pending = (k: Kernel): number => k.mem.u16(pendingVa(k))

/** @see kernel/softirq.c:open_softirq */
export const open_softirq = kfunc(
  'kernel/softirq.c',
  function open_softirq(k, nr: number, action: { readonly kfunc: Parameters<Kernel['text']>[0]['kfunc'] }) {
    k.mem.setWord(entry(k, nr), k.text(action))
  },
)

/** Mark work as pending. @see kernel/softirq.c:__raise_softirq_irqoff */
export const __raise_softirq_irqoff = kfunc(
  'kernel/softirq.c',
  function __raise_softirq_irqoff(k, nr: number) {
    k.mem.setU16(pendingVa(k), local_softirq_pending(k) | (1 << nr))
  },
)

/** @see kernel/softirq.c:raise_softirq_irqoff */
export const raise_softirq_irqoff = kfunc('kernel/softirq.c', function raise_softirq_irqoff(k, nr: number) {
  __raise_softirq_irqoff(k, nr)
})

/** @see kernel/softirq.c:raise_softirq */
export const raise_softirq = kfunc('kernel/softirq.c', function raise_softirq(k, nr: number) {
  raise_softirq_irqoff(k, nr)
})

/** Run what is pending, lowest number first, until nothing is. */
function handle(k: Kernel): void {
  k.cpu.softirq++
  for (let restart = 0; restart < MAX_SOFTIRQ_RESTART && local_softirq_pending(k) !== 0; restart++) {
    const pending = local_softirq_pending(k)
    k.mem.setU16(pendingVa(k), 0)
    for (let nr = 0; nr < 10; nr++) {
      if ((pending & (1 << nr)) === 0) continue
      const at = entry(k, nr)
      k.indirect<SoftirqAction>(k.mem.word(at))(k, at)
    }
  }
  k.cpu.softirq--
}

/** @see kernel/softirq.c:handle_softirqs */
const handle_softirqs = kfunc('kernel/softirq.c', function handle_softirqs(k) {
  handle(k)
})
/** @see kernel/softirq.c:__do_softirq */
const __do_softirq = kfunc('kernel/softirq.c', function __do_softirq(k) {
  handle(k)
})

/** The function that does the work has got another name since: 5.15 calls it __do_softirq. */
const runPending = (k: Kernel): void => {
  if (k.profile.unwinder === 'fp') __do_softirq(k)
  else handle_softirqs(k)
}

/** @see arch/x86/include/asm/irq_stack.h:do_softirq_own_stack */
const do_softirq_part = kfunc(
  'kernel/softirq.c',
  Object.defineProperty((k: Kernel) => runPending(k), 'name', { value: 'do_softirq.part.0' }),
)

/** Run pending work now, in process context. @see kernel/softirq.c:do_softirq */
export const do_softirq = kfunc(
  'kernel/softirq.c',
  function do_softirq(k) {
    if (in_interrupt(k) || local_softirq_pending(k) === 0) return
    if (k.profile.unwinder === 'fp') runPending(k)
    else do_softirq_part(k)
  },
  { sibling: true },
)

/** Bottom halves disabled, or in an interrupt? @see include/linux/preempt.h:in_interrupt */
export const in_interrupt = (k: Kernel): boolean => k.cpu.hardirq > 0 || k.cpu.softirq > 0

/** @see include/linux/bottom_half.h:local_bh_disable */
export function local_bh_disable(k: Kernel): void {
  k.cpu.softirq++
}

/** Enable bottom halves again; work that came up meanwhile runs here. @see kernel/softirq.c:__local_bh_enable_ip */
export const __local_bh_enable_ip = kfunc('kernel/softirq.c', function __local_bh_enable_ip(k) {
  k.cpu.softirq--
  if (!in_interrupt(k) && local_softirq_pending(k) !== 0) {
    if (k.profile.unwinder === 'fp') do_softirq(k)
    else do_softirq_part(k)
  }
})
/** @see include/linux/bottom_half.h:local_bh_enable */
export const local_bh_enable = (k: Kernel): void => __local_bh_enable_ip(k)

/** @see kernel/softirq.c:__irq_exit_rcu */
const __irq_exit_rcu = kfunc('kernel/softirq.c', function __irq_exit_rcu(k) {
  k.cpu.hardirq--
  if (!in_interrupt(k) && local_softirq_pending(k) !== 0) runPending(k)
})

/** Out of a hardware interrupt: pending soft interrupts run now. @see kernel/softirq.c:irq_exit_rcu */
export const irq_exit_rcu = kfunc(
  'kernel/softirq.c',
  function irq_exit_rcu(k) {
    if (k.profile.unwinder !== 'fp') {
      __irq_exit_rcu(k)
      return
    }
    k.cpu.hardirq--
    if (!in_interrupt(k) && local_softirq_pending(k) !== 0) runPending(k)
  },
  { sibling: true },
)
