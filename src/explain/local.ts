/** Which addresses are this machine's, and where memory says so. */

import type { StructRef } from '../btf/ref.ts'
import {
  for_each_ifa,
  for_each_inet6_ifaddr,
  for_each_net,
  for_each_netdev,
  netdev_name,
} from '../helpers/net.ts'
import { in6_groups, ipv4_text, ipv6_text } from '../helpers/inet-address.ts'
import type { Kernel } from '../helpers/kernel.ts'
import { sock_net } from '../helpers/tcp.ts'
import type { Evidence } from './facts.ts'

/** An address of a device of this machine. */
export interface OwnAddress {
  readonly text: string
  readonly device: string
  /** `struct in_ifaddr *` or `struct inet6_ifaddr *` */
  readonly at: bigint
  /** In the sock's own network namespace; elsewhere it is as foreign as another machine. */
  readonly here: boolean
}

/** Every address of every device, those of the sock's own namespace first. */
export function ownAddresses(kernel: Kernel, sk: StructRef): OwnAddress[] {
  const own = sock_net(sk)
  const others = [...for_each_net(kernel)].filter((net) => !net.$equals(own))
  return [
    ...(own === null ? [] : addressesOf(own, true)),
    ...others.flatMap((net) => addressesOf(net, own === null)),
  ]
}

function addressesOf(net: StructRef, here: boolean): OwnAddress[] {
  return [...for_each_netdev(net)].flatMap((dev) => deviceAddresses(dev, here))
}

function deviceAddresses(dev: StructRef, here: boolean): OwnAddress[] {
  const device = netdev_name(dev)
  const v4 = [...for_each_ifa(dev)].map((ifa) => ({
    text: ipv4_text(Number(ifa.$int('ifa_local')) >>> 0),
    device,
    at: ifa.$addr,
    here,
  }))
  const v6 = [...for_each_inet6_ifaddr(dev)].map((ifa) => ({
    text: ipv6_text(in6_groups(ifa.$mem, ifa.$vaOf('addr'))),
    device,
    at: ifa.$addr,
    here,
  }))
  return [...v4, ...v6]
}

/** Is it in 127.0.0.0/8, or ::1? */
export const isLoopback = (text: string): boolean =>
  text.startsWith('127.') || text === '0:0:0:0:0:0:0:1' || text === '::1'
export const isAny = (text: string): boolean => text === '0.0.0.0' || /^[0:]+$/.test(text)

/** What memory says of one address: whose it is, and where that can be read again. */
export function evidenceOf(
  owns: readonly OwnAddress[],
  text: string,
): { side: 'local' | 'foreign'; evidence: Evidence } {
  const own = owns.find((o) => o.text === text)
  if (own?.here === true) {
    const fact = `${text} is an address of device ${own.device} of this machine`
    return { side: 'local', evidence: { fact, at: own.at } }
  }
  if (isLoopback(text)) {
    return { side: 'local', evidence: { fact: `${text} is a loopback address: always this machine`, at: 0n } }
  }
  if (own !== undefined) {
    const fact = `${text} is an address of device ${own.device}, but in another network namespace: for this sock it is foreign`
    return { side: 'foreign', evidence: { fact, at: own.at } }
  }
  const fact = `${text} is an address of no device of this machine: it is foreign`
  return { side: 'foreign', evidence: { fact, at: 0n } }
}
