/** The LSM hooks on a socket's path, as their lists in memory have them, and whose they are. */

import { hex, toVa } from '../base/addr.ts'
import { readStringAt, type Kernel } from '../helpers/kernel.ts'
import { hlist_for_each } from '../structures/hlist.ts'
import type { Target } from '../target/target.ts'
import type { HookEntry } from './facts.ts'

/** More than any kernel stacks on one hook. */
const ENTRIES_MAX = 1000

/**
 * Entries of `security_hook_heads.<hook>`, in the order they are asked; empty on kernels that have no such lists
 * (6.12 replaced them by static calls).
 * @throws FaultError, ValidationError when the list is damaged
 */
export function hookEntries(target: Target, hook: string): HookEntry[] {
  const kernel: Kernel = target
  if (!kernel.types.has('security_hook_heads', hook)) return []
  const heads = target.symbols.find('security_hook_heads')
  if (heads === undefined) return []
  const head = heads.va + kernel.types.offsetof('security_hook_heads', hook)
  return [...hlist_for_each(kernel.mem, head, ENTRIES_MAX)].map((node) => {
    const entry = kernel.types.ref('security_hook_list', kernel.mem, node)
    const pointer = toVa(entry.$int(`hook.${hook}`), target.wordSize)
    const symbol = target.symbols.lookup(pointer)
    return {
      function: symbol === undefined ? `0x${hex(pointer)}` : symbol.name,
      module: symbol?.module ?? (symbol === undefined ? 'nobody' : 'kernel'),
      lsm: readStringAt(entry, 'lsm', 32) ?? '',
      at: entry.$addr,
    }
  })
}
