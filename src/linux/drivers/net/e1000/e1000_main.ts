/**
 * A network card of the e1000 family: frames from the wire raise an interrupt, a NAPI poll takes them up; frames
 * sent get their checksums from the card. A module, as in every distribution.
 *
 * @see drivers/net/ethernet/intel/e1000/e1000_main.c
 * @remarks descriptor rings are the card's own business here: they are not laid out in memory
 */

import type { napi_struct, net_device, sk_buff } from '../../../../btf/vmlinux.ts'
import { CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY, ETH_HLEN } from '../../../../abi/if.ts'
import { SourceKind } from '../../../../memory/memory.ts'
import { common_interrupt } from '../../../arch/x86/kernel/irq.ts'
import { kfunc } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { kzalloc } from '../../../mm/slab.ts'
import {
  __napi_schedule,
  alloc_netdev_mqs,
  napi_complete_done,
  netdev_priv,
  netif_napi_add_weight,
  skb_mark_napi_id,
  register_netdevice,
} from '../../../net/core/dev.ts'
import { __netdev_alloc_skb, consume_skb, skb_data, skb_put } from '../../../net/core/skbuff.ts'
import { ether_setup, eth_type_trans } from '../../../net/ethernet/eth.ts'
import { __inet_insert_ifa, inetdev_init } from '../../../net/ipv4/devinet.ts'
import { csum_fold, csum_partial } from '../../../net/ipv4/checksum.ts'
import { wire, type Frame, type Nic } from '../../../net/wire/wire.ts'

const FILE = 'drivers/net/ethernet/intel/e1000/e1000_main.c'
const MODULE = { module: 'e1000' }

/** What a scenario says of a card. */
export interface E1000Config {
  readonly name: string
  readonly mac: Uint8Array
  /** `__be32` */
  readonly address: number
  readonly prefix: number
  /** The processor its interrupt goes to. */
  readonly irqCpu: number
}

/** Frames the card holds for the driver, by device. */
const rings = new WeakMap<Kernel, Map<number, Frame[]>>()

function ring(k: Kernel, dev: net_device): Frame[] {
  let all = rings.get(k)
  if (all === undefined) rings.set(k, (all = new Map<number, Frame[]>()))
  let frames = all.get(dev.$va)
  if (frames === undefined) all.set(dev.$va, (frames = []))
  return frames
}

/** Find the card, make its device, give it its address. @see e1000_main.c:e1000_probe */
export const e1000_probe = kfunc(
  FILE,
  function e1000_probe(k: Kernel, config: E1000Config): net_device {
    const napiOffset = 64
    const dev = alloc_netdev_mqs(k, napiOffset + k.types.sizeof('napi_struct'), config.name)
    ether_setup(k, dev)
    const ops = k.ref('net_device_ops', kzalloc(k, k.types.sizeof('net_device_ops')))
    ops.ndo_start_xmit = k.text(e1000_xmit_frame)
    dev.netdev_ops = ops
    const address = kzalloc(k, 32)
    k.mem.write(address, config.mac)
    k.mem.setPointer(dev.$vaOf('dev_addr'), address)
    k.mem.write(dev.perm_addr.$va, config.mac)
    const napi = k.ref('napi_struct', netdev_priv(dev) + napiOffset)
    netif_napi_add_weight(k, dev, napi, e1000_clean)
    dev.irq = 19
    register_netdevice(k, dev)
    inetdev_init(k, dev)
    __inet_insert_ifa(k, dev, config.address, config.prefix)
    const nic: Nic = {
      name: config.name,
      mac: config.mac,
      receive: (frame) => {
        ring(k, dev).push(frame)
        common_interrupt(k, config.irqCpu, () => {
          e1000_intr(k, napi)
        })
      },
    }
    wire(k).attach(nic)
    return dev
  },
  MODULE,
)

/** The interrupt: the card has frames. */
export const e1000_intr = kfunc(
  FILE,
  function e1000_intr(k: Kernel, napi: napi_struct): number {
    __napi_schedule(k, napi)
    return 1
  },
  MODULE,
)

/** The poll: take up to `budget` frames. @see e1000_main.c:e1000_clean, e1000_clean_rx_irq */
export const e1000_clean = kfunc(
  FILE,
  function e1000_clean(k: Kernel, napi: napi_struct, budget: number): number {
    const dev = napi.dev as net_device
    const received = ring(k, dev)
      .splice(0, budget)
      .map((frame) => takeUp(k, dev, frame, napi))
    if (received.length < budget) napi_complete_done(k, napi, received)
    return received.length
  },
  MODULE,
)

function takeUp(k: Kernel, dev: net_device, frame: Frame, napi: napi_struct): sk_buff {
  const skb = __netdev_alloc_skb(k, dev, frame.bytes.length)
  k.mem.write(skb_put(k, skb, frame.bytes.length), frame.bytes, SourceKind.Packet, frame.number * 65536)
  skb.ip_summed = CHECKSUM_UNNECESSARY
  skb.protocol = eth_type_trans(k, skb, dev)
  skb_mark_napi_id(skb, napi)
  return skb
}

export const e1000_xmit_frame = kfunc(
  FILE,
  function e1000_xmit_frame(k: Kernel, skb: sk_buff, dev: net_device): number {
    const bytes = k.mem.read(skb_data(k, skb), skb.len)
    if (skb.ip_summed === CHECKSUM_PARTIAL)
      finishChecksum(skb, bytes, skb_data(k, skb) - Number(BigInt.asIntN(64, skb.head)))
    wire(k).send(dev.name.$string(), bytes)
    consume_skb(k, skb)
    return 0
  },
  MODULE,
)

/** The header holds the pseudo-header's sum; the card adds the rest. */
function finishChecksum(skb: sk_buff, bytes: Uint8Array, dataOffset: number): void {
  const start = skb.csum_start - dataOffset
  const at = start + skb.csum_offset
  if (start < ETH_HLEN || at + 2 > bytes.length) return
  const sum = csum_fold(csum_partial(bytes.subarray(start)))
  new DataView(bytes.buffer, bytes.byteOffset).setUint16(at, sum === 0 ? 0xffff : sum, true)
}

/** What the module loader places in memory. */
export const e1000_functions = [e1000_probe, e1000_intr, e1000_clean, e1000_xmit_frame]
