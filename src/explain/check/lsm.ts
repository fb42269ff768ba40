/** The lists of LSM hooks: whose functions are asked, and do the links of each list agree? */

import { toAddr, type Va } from '../../base/addr.ts'
import { readStringAt } from '../../helpers/kernel.ts'
import { hlist_for_each } from '../../structures/hlist.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

/** More than any kernel stacks on one hook. */
const ENTRIES_MAX = 1000

/** @returns why there is nothing to check, if so */
export function* checkLsm(c: CheckContext): Generator<Seen, string | undefined> {
  const { types, symbols } = c.target
  const heads = symbols.findKernel('security_hook_heads')
  if (heads === undefined || !types.has('security_hook_heads'))
    return 'this kernel has no security_hook_heads'
  for (const { name, bitOffset } of types.struct('security_hook_heads').members) {
    if (name === '') continue
    yield* c.guard(`lsm ${name}`, () => hook(c, name, heads.va + bitOffset / 8))
  }
  return undefined
}

function* hook(c: CheckContext, name: string, head: Va): Generator<Seen> {
  const { types, mem } = c.target
  let link = head
  let number = 0
  for (const node of hlist_for_each(mem, head, ENTRIES_MAX)) {
    const place = `security_hook_heads.${name}[${number++}]`
    const entry = types.ref('security_hook_list', mem, node)
    const lsm = readStringAt(entry, 'lsm', 32)
    yield c.pointer(
      lsm === undefined ? place : `${place} (${lsm})`,
      node + types.offsetof('security_hook_list', 'hook'),
    )
    yield backLink(place, mem.word(node + mem.wordSize), node + mem.wordSize, link)
    link = node
  }
}

function backLink(place: string, value: bigint, at: Va, link: Va): Seen {
  const right = value === toAddr(link)
  return {
    place: `${place}.pprev`,
    at: toAddr(at),
    value,
    expectedAt: toAddr(link),
    found: !right,
    verdict: right ? 'ok' : 'does not point back at the link that leads here',
  }
}
