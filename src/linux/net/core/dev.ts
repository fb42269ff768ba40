/**
 * Devices: the list of them, a packet's way to one, and the receive softirq that takes packets from them.
 *
 * @see net/core/dev.c
 */

import { htons } from '../../../base/u32.ts'
import type { napi_struct, net_device, sk_buff, softnet_data } from '../../../btf/vmlinux.ts'
import {
  IFF_UP,
  IF_OPER_UP,
  NETREG_REGISTERED,
  __LINK_STATE_PRESENT,
  __LINK_STATE_START,
} from '../../../abi/if.ts'
import { from } from '../../../btf/ref.ts'
import {
  INIT_LIST_HEAD,
  list_add,
  list_add_tail,
  list_del_init,
  list_empty,
  list_for_each_entry,
} from '../../../structures/list.ts'
import { toVa } from '../../../base/addr.ts'
import { kfunc } from '../../kfunc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import {
  NET_RX_SOFTIRQ,
  __local_bh_enable_ip,
  __raise_softirq_irqoff,
  local_bh_disable,
  open_softirq,
} from '../../kernel/softirq.ts'
import { kvzalloc } from '../../mm/slab.ts'
import { init_net } from './net_namespace.ts'
import {
  __skb_dequeue,
  __skb_queue_tail,
  kfree_skb,
  skb_queue_empty,
  skb_queue_head_init,
  skb_reset_network_header,
  skb_reset_transport_header,
} from './skbuff.ts'

const NAPI_STATE_SCHED = 1n << 0n
const NAPI_STATE_LISTED = 1n << 4n
const NAPI_WEIGHT = 64
/** CONFIG_NR_CPUS: identities above it are NAPI's, those up to it processors'. */
const NR_CPUS = 8192
/** Packets one softirq may take. @see net/core/dev.c:netdev_budget */
const NETDEV_BUDGET = 300

/** How one packet, or a list from one poll, enters a protocol. */
export interface Protocol {
  readonly one: (k: Kernel, skb: sk_buff, dev: net_device) => number
  readonly list: (k: Kernel, skbs: readonly sk_buff[], dev: net_device) => void
}
/** Receive handlers by `ETH_P_…`; the kernel's are found through `ptype_base`. */
const protocols = perKernel(() => new Map<number, Protocol>())
export const dev_add_pack = (k: Kernel, type: number, protocol: Protocol): void =>
  void protocols(k).set(type, protocol)

export type Xmit = (k: Kernel, skb: sk_buff, dev: net_device) => number
type Poll = (k: Kernel, napi: napi_struct, budget: number) => number

/** Devices in the order they were registered. */
export function* for_each_netdev(k: Kernel): Generator<net_device> {
  yield* list_for_each_entry(k.types, k.mem, init_net(k).dev_base_head.$va, 'net_device', 'dev_list')
}

export const dev_get_by_name = (k: Kernel, name: string): net_device | undefined =>
  [...for_each_netdev(k)].find((dev) => dev.name.$string() === name)

const softnet = (k: Kernel): softnet_data => k.per_cpu('softnet_data', 'softnet_data')

/** @see net/core/dev.c:net_dev_init */
export function net_dev_init(k: Kernel): void {
  for (let cpu = 0; cpu < k.nr_cpu_ids; cpu++) {
    const sd = k.per_cpu('softnet_data', 'softnet_data', cpu)
    INIT_LIST_HEAD(k.mem, sd.poll_list.$va)
    skb_queue_head_init(sd.input_pkt_queue)
    skb_queue_head_init(sd.process_queue)
    sd.cpu = cpu
    sd.backlog.weight = NAPI_WEIGHT
    sd.backlog.poll = k.text(process_backlog)
    INIT_LIST_HEAD(k.mem, sd.backlog.poll_list.$va)
    INIT_LIST_HEAD(k.mem, sd.backlog.rx_list.$va)
  }
  k.mem.setU32(napi_gen_id(k), NR_CPUS)
  open_softirq(k, NET_RX_SOFTIRQ, net_rx_action)
}

/** Where the last identity given to a NAPI instance is counted. @see net/core/dev.c:napi_gen_id */
const napi_gen_id = (k: Kernel): number => toVa(k.sym('napi_gen_id'), k.mem.wordSize)

/** A device with what every driver fills in. @see net/core/dev.c:alloc_netdev_mqs */
export const alloc_netdev_mqs = kfunc(
  'net/core/dev.c',
  function alloc_netdev_mqs(k: Kernel, privateSize: number, name: string): net_device {
    const size = Math.ceil(k.types.sizeof('net_device') / 32) * 32 + privateSize
    const dev = k.ref('net_device', kvzalloc(k, size))
    dev.name.$setString(name)
    dev.nd_net.net = init_net(k)
    dev.gso_max_size = 65536
    dev.gso_max_segs = 65535
    dev.tso_max_size = 65536
    dev.tso_max_segs = 65535
    dev.num_tx_queues = 1
    dev.real_num_tx_queues = 1
    dev.num_rx_queues = 1
    dev.real_num_rx_queues = 1
    dev.group = 0
    for (const list of ['napi_list', 'unreg_list', 'close_list', 'ptype_all', 'ptype_specific'] as const) {
      INIT_LIST_HEAD(k.mem, dev[list].$va)
    }
    return dev
  },
)

/** The bytes behind `struct net_device`. @see include/linux/netdevice.h:netdev_priv */
export const netdev_priv = (dev: net_device): number => dev.$va + Math.ceil(dev.$size / 32) * 32

/** Give the device its index, link it in, bring it up. @see net/core/dev.c:register_netdevice, dev_open */
export const register_netdevice = kfunc(
  'net/core/dev.c',
  function register_netdevice(k: Kernel, dev: net_device): void {
    const net = init_net(k)
    net.ifindex = net.ifindex + 1
    dev.ifindex = net.ifindex
    dev.reg_state = NETREG_REGISTERED
    dev.state = __LINK_STATE_START | __LINK_STATE_PRESENT
    dev.operstate = IF_OPER_UP
    dev.flags = dev.flags | IFF_UP
    list_add_tail(k.mem, dev.dev_list.$va, net.dev_base_head.$va)
  },
)

/** @see net/core/dev.c:dev_hard_start_xmit */
const dev_hard_start_xmit = kfunc(
  'net/core/dev.c',
  function dev_hard_start_xmit(k: Kernel, skb: sk_buff, dev: net_device): number {
    const xmit = dev.netdev_ops?.ndo_start_xmit ?? 0n
    return k.indirect<Xmit>(xmit)(k, skb, dev)
  },
)

/**
 * Send a packet whose link header is in place.
 * @remarks devices have no queueing discipline: what is sent is on the wire at once
 * @see net/core/dev.c:__dev_queue_xmit
 */
export const __dev_queue_xmit = kfunc(
  'net/core/dev.c',
  function __dev_queue_xmit(k: Kernel, skb: sk_buff): number {
    const dev = skb.dev
    if (dev === null || (dev.flags & IFF_UP) === 0) {
      kfree_skb(k, skb)
      return 0
    }
    local_bh_disable(k)
    netdev_core_pick_tx(k, skb)
    const result = dev_hard_start_xmit(k, skb, dev)
    __local_bh_enable_ip(k)
    return result
  },
)

/** A card has one queue; what stays is the processor that sent. @see net/core/dev.c:netdev_core_pick_tx */
const netdev_core_pick_tx = kfunc(
  'net/core/dev.c',
  function netdev_core_pick_tx(k: Kernel, skb: sk_buff): void {
    if (skb.sender_cpu - 1 >= NR_CPUS || skb.sender_cpu === 0) skb.sender_cpu = k.cpu.id + 1
  },
)

export const dev_queue_xmit = (k: Kernel, skb: sk_buff): number => __dev_queue_xmit(k, skb)

/** A packet arrives without NAPI: it waits in this CPU's backlog. @see net/core/dev.c:__netif_rx */
export const __netif_rx = kfunc(
  'net/core/dev.c',
  function __netif_rx(k: Kernel, skb: sk_buff): number {
    return netif_rx_internal(k, skb)
  },
  { sibling: true },
)
const netif_rx_internal = kfunc(
  'net/core/dev.c',
  function netif_rx_internal(k: Kernel, skb: sk_buff): number {
    return enqueue_to_backlog(k, skb)
  },
)
const enqueue_to_backlog = kfunc(
  'net/core/dev.c',
  function enqueue_to_backlog(k: Kernel, skb: sk_buff): number {
    const sd = softnet(k)
    const wasEmpty = skb_queue_empty(k, sd.input_pkt_queue)
    __skb_queue_tail(k, sd.input_pkt_queue, skb)
    if (wasEmpty && (sd.backlog.state & NAPI_STATE_SCHED) === 0n) {
      sd.backlog.state = sd.backlog.state | NAPI_STATE_SCHED
      ____napi_schedule(k, sd, sd.backlog)
    }
    return 0
  },
)

function ____napi_schedule(k: Kernel, sd: softnet_data, napi: napi_struct): void {
  list_add_tail(k.mem, napi.poll_list.$va, sd.poll_list.$va)
  __raise_softirq_irqoff(k, NET_RX_SOFTIRQ)
}

/** A driver's interrupt: its poll function is to run. @see include/linux/netdevice.h:napi_schedule */
export const __napi_schedule = kfunc(
  'net/core/dev.c',
  function __napi_schedule(k: Kernel, napi: napi_struct): void {
    if ((napi.state & NAPI_STATE_SCHED) !== 0n) return
    napi.state = napi.state | NAPI_STATE_SCHED
    ____napi_schedule(k, softnet(k), napi)
  },
)

/** @see net/core/dev.c:netif_napi_add_weight */
export const netif_napi_add_weight = kfunc(
  'net/core/dev.c',
  function netif_napi_add_weight(
    k: Kernel,
    dev: net_device,
    napi: napi_struct,
    poll: { readonly kfunc: Parameters<Kernel['text']>[0]['kfunc'] },
  ): void {
    INIT_LIST_HEAD(k.mem, napi.poll_list.$va)
    INIT_LIST_HEAD(k.mem, napi.rx_list.$va)
    napi.weight = NAPI_WEIGHT
    napi.poll = k.text(poll)
    napi.poll_owner = -1
    napi.dev = dev
    napi.state = napi.state | NAPI_STATE_LISTED
    list_add(k.mem, napi.dev_list.$va, dev.napi_list.$va)
    napi_hash_add(k, napi)
  },
)

/**
 * @see net/core/dev.c:napi_hash_add
 * @remarks the table busy polling looks instances up in is left empty
 */
function napi_hash_add(k: Kernel, napi: napi_struct): void {
  const id = k.mem.u32(napi_gen_id(k)) + 1
  k.mem.setU32(napi_gen_id(k), id)
  napi.napi_id = id
}

/** @see include/net/busy_poll.h:skb_mark_napi_id */
export function skb_mark_napi_id(skb: sk_buff, napi: napi_struct): void {
  skb.napi_id = from(napi, 'napi_id')
}

/** The receive softirq. @see net/core/dev.c:net_rx_action */
export const net_rx_action = kfunc('net/core/dev.c', function net_rx_action(k: Kernel): void {
  const sd = softnet(k)
  let budget = NETDEV_BUDGET
  while (!list_empty(k.mem, sd.poll_list.$va) && budget > 0) {
    const first = k.mem.pointer(sd.poll_list.$va)
    const napi = k.ref('napi_struct', first - k.types.offsetof('napi_struct', 'poll_list'))
    budget -= __napi_poll(k, napi)
  }
  if (!list_empty(k.mem, sd.poll_list.$va)) __raise_softirq_irqoff(k, NET_RX_SOFTIRQ)
})

const __napi_poll = kfunc('net/core/dev.c', function __napi_poll(k: Kernel, napi: napi_struct): number {
  list_del_init(k.mem, napi.poll_list.$va)
  const { weight } = napi
  const work = k.indirect<Poll>(napi.poll)(k, napi, weight)
  if (work >= weight) list_add_tail(k.mem, napi.poll_list.$va, softnet(k).poll_list.$va)
  return work
})

/** The poll function of the backlog: loopback's packets. @see net/core/dev.c:process_backlog */
export const process_backlog = kfunc(
  'net/core/dev.c',
  function process_backlog(k: Kernel, napi: napi_struct, quota: number): number {
    const sd = softnet(k)
    let work = 0
    while (work < quota) {
      const skb = __skb_dequeue(k, sd.process_queue) ?? refill(k, sd)
      if (skb === null) {
        napi.state = napi.state & ~NAPI_STATE_SCHED
        break
      }
      __netif_receive_skb(k, skb)
      work++
    }
    return work
  },
)

/** Take over what arrived meanwhile. @see include/linux/skbuff.h:skb_queue_splice_tail_init */
function refill(k: Kernel, sd: softnet_data): sk_buff | null {
  for (
    let skb = __skb_dequeue(k, sd.input_pkt_queue);
    skb !== null;
    skb = __skb_dequeue(k, sd.input_pkt_queue)
  ) {
    __skb_queue_tail(k, sd.process_queue, skb)
  }
  return __skb_dequeue(k, sd.process_queue)
}

const __netif_receive_skb = kfunc(
  'net/core/dev.c',
  function __netif_receive_skb(k: Kernel, skb: sk_buff): number {
    return __netif_receive_skb_one_core(k, skb)
  },
  { sibling: true },
)
const __netif_receive_skb_one_core = kfunc(
  'net/core/dev.c',
  function __netif_receive_skb_one_core(k: Kernel, skb: sk_buff): number {
    prepare(k, skb)
    const protocol = protocols(k).get(htons(skb.protocol))
    if (protocol !== undefined) return protocol.one(k, skb, skb.dev as net_device)
    kfree_skb(k, skb)
    return 1
  },
)

function prepare(k: Kernel, skb: sk_buff): void {
  skb_reset_network_header(k, skb)
  if (skb.transport_header === 0xffff) skb_reset_transport_header(k, skb)
  skb.mac_len = skb.network_header - skb.mac_header
  skb.skb_iif = (skb.dev as net_device).ifindex
}

/** A poll is over: what it received goes up, and the device may interrupt again. @see net/core/dev.c:napi_complete_done */
export const napi_complete_done = kfunc(
  'net/core/dev.c',
  function napi_complete_done(k: Kernel, napi: napi_struct, received: readonly sk_buff[]): boolean {
    if (received.length > 0) netif_receive_skb_list_internal(k, received)
    napi.state = napi.state & ~NAPI_STATE_SCHED
    return true
  },
)

const netif_receive_skb_list_internal = kfunc(
  'net/core/dev.c',
  function netif_receive_skb_list_internal(k: Kernel, list: readonly sk_buff[]): void {
    __netif_receive_skb_list_core(k, list)
  },
)

/** Neighbours in the list that go to the same protocol go there together. */
const __netif_receive_skb_list_core = kfunc(
  'net/core/dev.c',
  function __netif_receive_skb_list_core(k: Kernel, list: readonly sk_buff[]): void {
    for (let i = 0; i < list.length;) {
      const type = (list[i] as sk_buff).protocol
      let end = i
      while (end < list.length && (list[end] as sk_buff).protocol === type) end++
      const same = list.slice(i, end)
      for (const skb of same) prepare(k, skb)
      const protocol = protocols(k).get(htons(type))
      if (protocol !== undefined) protocol.list(k, same, (same[0] as sk_buff).dev as net_device)
      else for (const skb of same) kfree_skb(k, skb)
      i = end
    }
  },
)
