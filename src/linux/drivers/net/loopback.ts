/** `lo`: what is sent is received. @see drivers/net/loopback.c */

import type { net_device, sk_buff } from '../../../btf/vmlinux.ts'
import { ARPHRD_LOOPBACK, ETH_ALEN, ETH_HLEN, IFF_LOOPBACK } from '../../../abi/if.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kzalloc } from '../../mm/slab.ts'
import { __netif_rx, alloc_netdev_mqs, register_netdevice } from '../../net/core/dev.ts'
import { init_net } from '../../net/core/net_namespace.ts'
import { skb_data, skb_orphan } from '../../net/core/skbuff.ts'
import { eth_type_trans } from '../../net/ethernet/eth.ts'
import { __inet_insert_ifa, in_aton, inetdev_init } from '../../net/ipv4/devinet.ts'
import { wire } from '../../net/wire/wire.ts'

const loopback_xmit = kfunc(
  'drivers/net/loopback.c',
  function loopback_xmit(k: Kernel, skb: sk_buff, dev: net_device): number {
    wire(k).capture(dev.name.$string(), k.mem.read(skb_data(k, skb), skb.len), 'loop')
    skb_orphan(k, skb)
    skb.protocol = eth_type_trans(k, skb, dev)
    __netif_rx(k, skb)
    return 0
  },
)

/** @see drivers/net/loopback.c:loopback_net_init, gen_lo_setup */
export const loopback_net_init = kfunc('drivers/net/loopback.c', function loopback_net_init(k: Kernel): void {
  const dev = alloc_netdev_mqs(k, 0, 'lo')
  dev.mtu = 65536
  dev.hard_header_len = ETH_HLEN
  dev.min_header_len = ETH_HLEN
  dev.addr_len = ETH_ALEN
  dev.type = ARPHRD_LOOPBACK
  dev.flags = IFF_LOOPBACK
  const ops = k.global('loopback_ops', 'net_device_ops')
  ops.ndo_start_xmit = k.text(loopback_xmit)
  dev.netdev_ops = ops
  dev.header_ops = k.global('eth_header_ops', 'header_ops')
  k.mem.setPointer(dev.$vaOf('dev_addr'), kzalloc(k, 32))
  register_netdevice(k, dev)
  init_net(k).loopback_dev = dev
  inetdev_init(k, dev)
  __inet_insert_ifa(k, dev, in_aton('127.0.0.1'), 8)
})
