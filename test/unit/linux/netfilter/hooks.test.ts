import { describe, expect, test } from 'vitest'
import { EHOSTUNREACH, EINVAL, EPERM } from '../../../../src/abi/errno.ts'
import * as NF from '../../../../src/abi/netfilter.ts'
import { AF_INET, SOCK_DGRAM } from '../../../../src/abi/socket.ts'
import type { nf_hook_ops } from '../../../../src/btf/vmlinux.ts'
import { addr } from '../../../../src/base/addr.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { kzalloc } from '../../../../src/linux/mm/slab.ts'
import { init_net } from '../../../../src/linux/net/core/net_namespace.ts'
import { ip_hdr } from '../../../../src/linux/net/core/skbuff.ts'
import {
  nf_register_net_hook,
  nf_register_net_hooks,
  nf_unregister_net_hook,
  type NfHookFn,
} from '../../../../src/linux/net/netfilter/core.ts'
import { sockaddrIn } from '../../../../src/userland/ncat/calls.ts'
import { run, tcpMachine } from '../../../support/tcp-machine.ts'

/** What the hooks of a test saw and say; they are declared once, as kernel functions are. */
const seen: string[] = []
let answer: (name: string, hook: number) => number = () => NF.NF_ACCEPT

const hookNamed = (name: string) =>
  kfunc('test.c', function test_hook(k, ...[, skb, state]: Parameters<NfHookFn> extends [Kernel, ...infer R] ? R : never): number {
    seen.push(`${name} ${NF.NF_INET_NAMES[state.hook] ?? ''} ${ip_hdr(k, skb).protocol}`)
    return answer(name, state.hook)
  }, { module: 'nf_test' }) // prettier-ignore
const hooks = { a: hookNamed('a'), b: hookNamed('b'), c: hookNamed('c') }

function machine(): Kernel {
  const k = tcpMachine()
  seen.length = 0
  answer = () => NF.NF_ACCEPT
  Object.values(hooks).forEach((hook, i) => k.placeText(hook, addr(0xffffffffc0700000n + BigInt(i * 64))))
  return k
}

function ops(
  k: Kernel,
  hook: keyof typeof hooks,
  hooknum: number,
  priority = 0,
  pf = NF.NFPROTO_IPV4,
): nf_hook_ops {
  const reg = k.ref('nf_hook_ops', kzalloc(k, k.types.sizeof('nf_hook_ops')))
  reg.hook = k.text(hooks[hook])
  reg.pf = pf
  reg.hooknum = hooknum
  reg.priority = priority
  return reg
}

/** Send one datagram over lo to a port nobody has, and return what sendto() said. */
function datagram(k: Kernel): number {
  let result = 0
  run(k, function* (p) {
    const fd = yield* p.must('socket', AF_INET, SOCK_DGRAM, 0)
    result = yield* p.syscall(
      'sendto',
      fd,
      p.data(Buffer.from('x')),
      1,
      0,
      p.data(sockaddrIn('127.0.0.1', 9)),
      16,
    )
    return 0
  })
  runUntilIdle(k)
  return result
}

/** Function, private word and ops of a place's entries, as they lie in memory. */
function entries(k: Kernel, hooknum: number): { hook: bigint; ops: bigint }[] {
  const at = k.mem.pointer(init_net(k).nf.hooks_ipv4.$vaAt(hooknum))
  if (at === 0) return []
  const count = k.mem.u16(at)
  return Array.from({ length: count }, (_, i) => ({
    hook: k.mem.word(at + 8 + 16 * i),
    ops: k.mem.word(at + 8 + 16 * count + 8 * i),
  }))
}

describe('registering', () => {
  test('S004-14: entries lie sorted by ascending priority, of equal ones the newer first, their ops behind', () => {
    const k = machine()
    const low = ops(k, 'a', NF.NF_INET_LOCAL_OUT, NF.NF_IP_PRI_RAW_BEFORE_DEFRAG)
    const old = ops(k, 'b', NF.NF_INET_LOCAL_OUT, 0)
    const fresh = ops(k, 'c', NF.NF_INET_LOCAL_OUT, 0)
    for (const reg of [old, low, fresh]) expect(nf_register_net_hook(k, init_net(k), reg)).toBe(0)
    const list = entries(k, NF.NF_INET_LOCAL_OUT)
    expect(list.map((e) => e.ops)).toEqual([low, fresh, old].map((reg) => reg.$addr))
    expect(list.map((e) => e.hook)).toEqual([hooks.a, hooks.c, hooks.b].map((hook) => k.text(hook)))
  })

  test('S004-19: the same ops twice: two entries, and each removal takes one', () => {
    const k = machine()
    const reg = ops(k, 'a', NF.NF_INET_LOCAL_OUT)
    nf_register_net_hook(k, init_net(k), reg)
    expect(nf_register_net_hook(k, init_net(k), reg)).toBe(0)
    expect(entries(k, NF.NF_INET_LOCAL_OUT)).toHaveLength(2)
    nf_unregister_net_hook(k, init_net(k), reg)
    expect(entries(k, NF.NF_INET_LOCAL_OUT)).toHaveLength(1)
    nf_unregister_net_hook(k, init_net(k), reg)
    expect(entries(k, NF.NF_INET_LOCAL_OUT)).toEqual([])
  })

  test('a place there is not is refused; of an array it is all or nothing', () => {
    const k = machine()
    expect(nf_register_net_hook(k, init_net(k), ops(k, 'a', 7))).toBe(-EINVAL)
    const size = k.types.sizeof('nf_hook_ops')
    const two = k.ref('nf_hook_ops', kzalloc(k, 2 * size))
    k.mem.copy(two.$va, ops(k, 'a', NF.NF_INET_LOCAL_IN).$va, size)
    k.mem.copy(two.$va + size, ops(k, 'b', 7).$va, size)
    expect(nf_register_net_hooks(k, init_net(k), two, 2)).toBe(-EINVAL)
    expect(entries(k, NF.NF_INET_LOCAL_IN)).toEqual([])
  })

  test('the function whose address lies in memory is called', () => {
    const k = machine()
    nf_register_net_hook(k, init_net(k), ops(k, 'a', NF.NF_INET_LOCAL_OUT))
    const at = k.mem.pointer(init_net(k).nf.hooks_ipv4.$vaAt(NF.NF_INET_LOCAL_OUT))
    k.mem.setWord(at + 8, k.text(hooks.b))
    datagram(k)
    expect(seen[0]).toBe('b LOCAL_OUT 17')
  })
})

describe('asking', () => {
  test('a datagram over lo passes LOCAL_OUT, POST_ROUTING, PRE_ROUTING, LOCAL_IN, and its refusal does', () => {
    const k = machine()
    for (let hook = 0; hook < NF.NF_INET_NUMHOOKS; hook++)
      nf_register_net_hook(k, init_net(k), ops(k, 'a', hook))
    datagram(k)
    const way = ['LOCAL_OUT', 'POST_ROUTING', 'PRE_ROUTING', 'LOCAL_IN']
    expect(seen).toEqual([...way.map((place) => `a ${place} 17`), ...way.map((place) => `a ${place} 1`)])
  })

  test.each([
    ['DROP', NF.NF_DROP, -EPERM],
    ['DROP with an errno in its upper half', NF.NF_DROP_ERR(EHOSTUNREACH), -EHOSTUNREACH],
    ['ACCEPT', NF.NF_ACCEPT, 1],
    ['STOLEN', NF.NF_STOLEN, 1],
    ['QUEUE, which nobody reads', NF.NF_QUEUE, 1],
    ['REPEAT', NF.NF_REPEAT, 1],
    ['STOP', NF.NF_STOP, 1],
  ])('S004-15: %s in LOCAL_OUT: what sendto() returns', (_name, verdict, result) => {
    const k = machine()
    nf_register_net_hook(k, init_net(k), ops(k, 'a', NF.NF_INET_LOCAL_OUT))
    nf_register_net_hook(k, init_net(k), ops(k, 'b', NF.NF_INET_LOCAL_OUT, 1))
    answer = (name) => (name === 'a' ? verdict : NF.NF_ACCEPT)
    expect(datagram(k)).toBe(result)
    // only an accepted packet is shown to the next hook
    expect(seen.includes('b LOCAL_OUT 17')).toBe(verdict === NF.NF_ACCEPT)
  })

  test('QUEUE with the bypass flag goes on when nobody reads the queue', () => {
    const k = machine()
    nf_register_net_hook(k, init_net(k), ops(k, 'a', NF.NF_INET_LOCAL_OUT))
    nf_register_net_hook(k, init_net(k), ops(k, 'b', NF.NF_INET_LOCAL_OUT, 1))
    answer = (name) => (name === 'a' ? NF.NF_QUEUE | NF.NF_VERDICT_FLAG_QUEUE_BYPASS : NF.NF_ACCEPT)
    datagram(k)
    expect(seen).toContain('b LOCAL_OUT 17')
  })

  test('S004-15: a drop on the way in is not told to the sender', () => {
    const k = machine()
    nf_register_net_hook(k, init_net(k), ops(k, 'a', NF.NF_INET_LOCAL_IN))
    answer = () => NF.NF_DROP
    expect(datagram(k)).toBe(1)
    expect(seen).toEqual(['a LOCAL_IN 17'])
  })
})
