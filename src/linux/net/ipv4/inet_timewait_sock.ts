/** TIME_WAIT: a stub of a few hundred bytes that answers in a closed connection's place. */

import { from } from '../../../btf/ref.ts'
import type {
  inet_timewait_death_row,
  inet_timewait_sock,
  kmem_cache,
  sock,
  timer_list,
} from '../../../btf/vmlinux.ts'
import { TCP_TIMEWAIT_LEN } from '../../../abi/tcp.ts'
import { TCP_TIME_WAIT } from '../../../abi/tcp_states.ts'
import { hlist_add_head, hlist_del } from '../../../structures/hlist.ts'
import { hlist_nulls_add_tail, hlist_nulls_del_init_rcu } from '../../../structures/hlist_nulls.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { del_timer, mod_timer, timer_setup } from '../../kernel/time/timer.ts'
import { jiffies } from '../../kernel/time/timekeeping.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../mm/slub.ts'
import {
  refcount_dec_and_test,
  refcount_inc,
  refcount_read,
  refcount_set,
  refcount_sub_and_test,
} from '../../lib/refcount.ts'
import { sk_prot, sk_unhashed, sock_net } from '../../include/net/sock.ts'
import { inet_csk, inet_sk, inet_twsk, req_to_sk } from '../../include/net/casts.ts'
import {
  inet_bind2_bucket_destroy,
  inet_bind_bucket_destroy,
  inet_ehash_bucket,
  sock_prot_inuse_add,
  tcp_hashinfo,
} from './inet_hashtables.ts'

const FILE = 'net/ipv4/inet_timewait_sock.c'

const deathRow = (k: Kernel): inet_timewait_death_row => k.global('init_net', 'net').ipv4.tcp_death_row

/** Leave the two bind lists. @see net/ipv4/inet_timewait_sock.c:inet_twsk_bind_unhash */
export const inet_twsk_bind_unhash = kfunc(
  FILE,
  function inet_twsk_bind_unhash(k, tw: inet_timewait_sock): void {
    const tb = tw.tw_tb
    const tb2 = tw.tw_tb2
    const info = tcp_hashinfo(k)
    if (tb === null) return
    hlist_del(k.mem, tw.tw_bind_node.$va)
    tw.tw_tb = null
    if (tb2 !== null) {
      hlist_del(k.mem, tw.tw_bind2_node.$va)
      tw.tw_tb2 = null
      inet_bind2_bucket_destroy(k, deref(info.bind2_bucket_cachep), tb2)
    }
    inet_bind_bucket_destroy(k, deref(info.bind_bucket_cachep), tb)
    // the caller of this one holds another reference
    const { refs } = tw.tw_refcnt
    refs.counter = refs.counter - 1
  },
)

/** Out of every table. @see net/ipv4/inet_timewait_sock.c:inet_twsk_kill */
const inet_twsk_kill = kfunc(FILE, function inet_twsk_kill(k, tw: inet_timewait_sock): void {
  const sk = req_to_sk(k, tw)
  if (!sk_unhashed(k, sk)) {
    hlist_nulls_del_init_rcu(k.mem, tw.tw_node.$va)
    const { refs } = tw.tw_refcnt
    refs.counter = refs.counter - 1
    sock_prot_inuse_add(k, sk, -1)
  }
  inet_twsk_bind_unhash(k, tw)
  refcount_sub_and_test(1, deref(tw.tw_dr).tw_refcount)
  inet_twsk_put(k, tw)
})

const inet_twsk_free = kfunc(FILE, function inet_twsk_free(k, tw: inet_timewait_sock): void {
  const slab: kmem_cache | null = deref(deref(tw.tw_prot).twsk_prot).twsk_slab
  kmem_cache_free(k, deref(slab), tw.$va)
})

export const inet_twsk_put = kfunc(FILE, function inet_twsk_put(k, tw: inet_timewait_sock): void {
  if (refcount_dec_and_test(tw.tw_refcnt)) inet_twsk_free(k, tw)
})

/**
 * The stub takes the sock's place: its port, then its slot in the established table, behind which the sock leaves.
 * @see net/ipv4/inet_timewait_sock.c:inet_twsk_hashdance
 */
export const inet_twsk_hashdance = kfunc(
  FILE,
  function inet_twsk_hashdance(k, tw: inet_timewait_sock, sk: sock): void {
    const icsk = inet_csk(k, sk)
    const tb = deref(icsk.icsk_bind_hash)
    tw.tw_tb = tb
    hlist_add_head(k.mem, tw.tw_bind_node.$va, tb.owners.$va)
    const tb2 = deref(icsk.icsk_bind2_hash)
    tw.tw_tb2 = tb2
    hlist_add_head(k.mem, tw.tw_bind2_node.$va, tb2.deathrow.$va)
    hlist_nulls_add_tail(k.mem, tw.tw_node.$va, inet_ehash_bucket(k, sk.sk_hash))
    if (!sk_unhashed(k, sk)) {
      hlist_nulls_del_init_rcu(k.mem, sk.sk_node.$va)
      sock_prot_inuse_add(k, sk, -1)
    }
    // bind list, established table, timer
    refcount_set(tw.tw_refcnt, 3)
    sock_prot_inuse_add(k, req_to_sk(k, tw), 1)
  },
)

/** The time is over. */
export const tw_timer_handler = kfunc(FILE, function tw_timer_handler(k, timer: timer_list): void {
  inet_twsk_kill(k, timer.$containerOf<inet_timewait_sock>('inet_timewait_sock', 'tw_timer'))
})

/**
 * A stub with the connection's addresses and ports.
 *
 * @param state the state it stands for: TIME_WAIT, or FIN_WAIT2 of a sock without a process
 * @returns `null` when there are too many
 * @see net/ipv4/inet_timewait_sock.c:inet_twsk_alloc
 */
export const inet_twsk_alloc = kfunc(
  FILE,
  function inet_twsk_alloc(k, sk: sock, state: number): inet_timewait_sock | null {
    const dr = deathRow(k)
    if (refcount_read(dr.tw_refcount) - 1 >= dr.sysctl_max_tw_buckets) return null
    const ops = deref(sk_prot(sk).twsk_prot)
    const tw = inet_twsk(k, kmem_cache_alloc(k, deref(ops.twsk_slab)))
    const inet = inet_sk(k, sk)
    tw.tw_dr = dr
    tw.tw_daddr = from(sk, 'sk_daddr')
    tw.tw_rcv_saddr = from(sk, 'sk_rcv_saddr')
    tw.tw_bound_dev_if = from(sk, 'sk_bound_dev_if')
    tw.tw_tos = inet.tos
    tw.tw_num = from(sk, 'sk_num')
    tw.tw_state = TCP_TIME_WAIT
    tw.tw_substate = state
    tw.tw_sport = from(inet, 'inet_sport')
    tw.tw_dport = from(sk, 'sk_dport')
    tw.tw_family = from(sk, 'sk_family')
    tw.tw_reuse = from(sk, 'sk_reuse')
    tw.tw_reuseport = from(sk, 'sk_reuseport')
    tw.tw_hash = from(sk, 'sk_hash')
    tw.tw_ipv6only = 0
    tw.tw_transparent = inet.transparent
    tw.tw_prot = sk_prot(sk)
    tw.tw_cookie.counter = sk.sk_cookie.counter
    tw.tw_net = sock_net(sk)
    timer_setup(k, tw.tw_timer, tw_timer_handler, 0x10_0000)
    // nobody may find it before the hashdance
    refcount_set(tw.tw_refcnt, 0)
    return tw
  },
)

/**
 * Start the timer, or move it.
 * @param timeo jiffies
 * @param rearm it runs already
 * @see net/ipv4/inet_timewait_sock.c:__inet_twsk_schedule
 */
export const __inet_twsk_schedule = kfunc(
  FILE,
  function __inet_twsk_schedule(k, tw: inet_timewait_sock, timeo: number, rearm: boolean): void {
    mod_timer(k, tw.tw_timer, jiffies(k) + BigInt(timeo))
    if (!rearm) refcount_inc(deref(tw.tw_dr).tw_refcount)
  },
)

export const inet_twsk_schedule = (k: Kernel, tw: inet_timewait_sock, timeo: number): void =>
  __inet_twsk_schedule(k, tw, timeo, false)
export const inet_twsk_reschedule = (k: Kernel, tw: inet_timewait_sock, timeo = TCP_TIMEWAIT_LEN): void =>
  __inet_twsk_schedule(k, tw, timeo, true)

/** Take a stub out of use before its time. @see net/ipv4/inet_timewait_sock.c:inet_twsk_deschedule_put */
export const inet_twsk_deschedule_put = kfunc(
  FILE,
  function inet_twsk_deschedule_put(k, tw: inet_timewait_sock): void {
    if (del_timer(k, tw.tw_timer)) inet_twsk_kill(k, tw)
    inet_twsk_put(k, tw)
  },
)
