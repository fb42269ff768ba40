/** IPv4 comes up: routes, ARP, and the way from devices to protocols. @see net/ipv4/af_inet.c:inet_init, ip_init */

import { ETH_P_IP } from '../../../abi/if.ts'
import type { Kernel } from '../../kernel.ts'
import { dev_add_pack } from '../core/dev.ts'
import { arp_init } from './arp.ts'
import { ip_list_rcv, ip_local_deliver, ip_rcv } from './ip_input.ts'
import { netfilter_init } from '../netfilter/core.ts'
import { ip_forward } from './ip_forward.ts'
import { ip_output } from './ip_output.ts'
import { ip_rt_init } from './route.ts'

export function ip_init(k: Kernel): void {
  netfilter_init(k)
  ip_rt_init(k, ip_local_deliver, ip_output, ip_forward)
  arp_init(k)
  const unused = k.global('ip_packet_type', 'packet_type')
  dev_add_pack(k, ETH_P_IP, {
    one: (k, skb, dev) => ip_rcv(k, skb, dev, unused, dev),
    list: ip_list_rcv,
  })
}
