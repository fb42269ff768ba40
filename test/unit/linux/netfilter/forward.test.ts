import { expect, test } from 'vitest'
import { addr } from '../../../../src/base/addr.ts'
import {
  NFPROTO_IPV4,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_POST_ROUTING,
} from '../../../../src/abi/netfilter.ts'
import { TCPHDR_SYN } from '../../../../src/abi/tcp.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { kzalloc } from '../../../../src/linux/mm/slab.ts'
import { dev_get_by_name } from '../../../../src/linux/net/core/dev.ts'
import { init_net } from '../../../../src/linux/net/core/net_namespace.ts'
import { ip_hdr } from '../../../../src/linux/net/core/skbuff.ts'
import { nf_register_net_hook, type NfHookFn } from '../../../../src/linux/net/netfilter/core.ts'
import type { Host } from '../../../../src/linux/net/wire/host.ts'
import { buildTcp, ipNumber } from '../../../../src/linux/net/wire/segments.ts'
import { wire } from '../../../../src/linux/net/wire/wire.ts'
import { cardWithHost, wiredMachine } from '../../../support/tcp-machine.ts'

const seen: string[] = []
let verdict = NF_ACCEPT
const forward_hook = kfunc(
  'test.c',
  function forward_hook(k, ...[, skb, state]: Parameters<NfHookFn> extends [Kernel, ...infer R] ? R : never) {
    const { in: from, out } = state
    seen.push(
      `${state.hook} ${from?.name.$string() ?? '-'} ${out?.name.$string() ?? '-'} ttl ${ip_hdr(k, skb).ttl}`,
    )
    return verdict
  },
  { module: 'forward_test' },
)

/** A router between 192.168.56.0/24 and 10.0.1.0/24, with a host on each side. */
function router(forwarding: boolean): { k: Kernel; far: Host } {
  seen.length = 0
  verdict = NF_ACCEPT
  const { k } = wiredMachine()
  const far = cardWithHost(k, 1, { card: '10.0.1.1', name: 'far', address: '10.0.1.2', delayNs: 1000 })
  const cnf = dev_get_by_name(k, 'eth0')?.ip_ptr?.cnf
  if (cnf === undefined) throw new Error('eth0 has no settings')
  cnf.data.set(0, forwarding ? 1 : 0)
  k.placeText(forward_hook, addr(0xffffffffc0700000n))
  for (const hooknum of [NF_INET_FORWARD, NF_INET_POST_ROUTING]) {
    const reg = k.ref('nf_hook_ops', kzalloc(k, k.types.sizeof('nf_hook_ops')))
    reg.hook = k.text(forward_hook)
    reg.pf = NFPROTO_IPV4
    reg.hooknum = hooknum
    nf_register_net_hook(k, init_net(k), reg)
  }
  return { k, far }
}

/** A SYN for the far host arrives at eth0. */
function arrive(k: Kernel): void {
  const ends = {
    sourceMac: Uint8Array.of(0x02, 0, 0, 0, 0, 2),
    targetMac: Uint8Array.of(0x02, 0, 0, 0, 0, 1),
    source: ipNumber('192.168.56.101'),
    target: ipNumber('10.0.1.2'),
  }
  const segment = {
    sourcePort: 4000,
    targetPort: 80,
    seq: 1,
    ack: 0,
    flags: TCPHDR_SYN,
    window: 100,
    options: {},
    payload: new Uint8Array(0),
  }
  wire(k).deliver('eth0', buildTcp(ends, segment, 1))
  runUntilIdle(k)
}

test('a router’s packet passes FORWARD between its devices, one hop poorer, and reaches the far host', () => {
  const { k, far } = router(true)
  arrive(k)
  expect(seen.slice(0, 2)).toEqual(['2 eth0 eth1 ttl 63', '4 - eth1 ttl 63'])
  expect(far.strays.map(({ targetPort }) => targetPort)).toEqual([80])
})

test('dropped in FORWARD it goes no further', () => {
  const { k, far } = router(true)
  verdict = NF_DROP
  arrive(k)
  expect([seen, far.strays]).toEqual([['2 eth0 eth1 ttl 63'], []])
})

test('a machine that is no router forwards nothing', () => {
  const { k, far } = router(false)
  arrive(k)
  expect([seen, far.strays]).toEqual([[], []])
})
