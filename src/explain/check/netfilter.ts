/** Netfilter's hooks: every family and place of every network namespace, and the devices' ingress and egress. */

import { toAddr, toVa, type Va } from '../../base/addr.ts'
import { NF_INET_NAMES } from '../../abi/netfilter.ts'
import { ValidationError } from '../../base/errors.ts'
import { strip } from '../../btf/type.ts'
import { for_each_net, for_each_netdev, netdev_name } from '../../helpers/net.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

/** @see include/linux/netfilter.h:MAX_HOOK_COUNT */
const HOOKS_MAX = 1024

/** @returns why there is nothing to check, if so */
export function* checkNetfilter(c: CheckContext): Generator<Seen, string | undefined> {
  const { types } = c.target
  if (!types.has('nf_hook_entries', 'num_hook_entries') || !types.has('net', 'nf'))
    return 'this kernel has no nf_hook_entries'
  yield* c.guard('netfilter', () => namespaces(c))
  return undefined
}

function* namespaces(c: CheckContext): Generator<Seen> {
  const { types, mem } = c.target
  const families = types.struct('netns_nf').members.filter(({ name }) => name.startsWith('hooks_'))
  for (const net of for_each_net(c.target)) {
    for (const { name, bitOffset, type } of families) {
      const array = strip(type)
      if (array.kind !== 'array') continue
      for (let i = 0; i < array.length; i++) {
        const family = name.slice('hooks_'.length)
        const hook = family === 'ipv4' || family === 'ipv6' ? (NF_INET_NAMES[i] ?? String(i)) : String(i)
        const at = net.$vaOf('nf') + bitOffset / 8 + i * mem.wordSize
        yield* c.guard(`netfilter ${family} ${hook}`, () => entries(c, `${family} ${hook}`, at))
      }
    }
    for (const dev of for_each_netdev(net))
      for (const member of ['nf_hooks_ingress', 'nf_hooks_egress'])
        if (dev.$has(member)) {
          const place = `${netdev_name(dev)} ${member.slice('nf_hooks_'.length)}`
          yield* c.guard(`netfilter ${place}`, () => entries(c, place, dev.$vaOf(member)))
        }
  }
}

/** The functions a `struct nf_hook_entries *` lists. */
function* entries(c: CheckContext, place: string, at: Va): Generator<Seen> {
  const { types, mem } = c.target
  const table = mem.pointer(at)
  if (table === 0) return
  const count = mem.u16(table + types.offsetof('nf_hook_entries', 'num_hook_entries'))
  if (count > HOOKS_MAX) throw new ValidationError(toAddr(table), 'at most 1024 hooks', String(count))
  const hooks = table + types.offsetof('nf_hook_entries', 'hooks')
  const size = types.sizeof('nf_hook_entry')
  for (let i = 0; i < count; i++) {
    const hook = hooks + i * size + types.offsetof('nf_hook_entry', 'hook')
    const ops = mem.word(hooks + count * size + i * mem.wordSize)
    const seen = c.pointer(`${place}[${i}]${priorityOf(c, ops)}`, hook, 'tainted modules')
    yield seen
  }
}

/** ` priority -100`, when the struct that was registered can be read. */
function priorityOf(c: CheckContext, ops: bigint): string {
  const va = toVa(ops, c.target.wordSize)
  if (Number.isNaN(va) || va === 0 || c.isUnmapped(va)) return ''
  return ` priority ${c.target.ref('nf_hook_ops', va).$int('priority')}`
}
