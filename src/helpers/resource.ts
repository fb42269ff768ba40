/** The trees of I/O ports and of physical addresses: which driver or device has which range. */

import type { Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import { findSymbolVa, readStringAt, refAt, type Kernel } from './kernel.ts'

const RESOURCES_MAX = 100_000

/** One range; `depth` 0 is the whole tree's. */
export interface ResourceRow {
  /** `struct resource *` */
  readonly resource: bigint
  readonly start: bigint
  readonly end: bigint
  readonly name: string
  readonly depth: number
}

/**
 * A tree, parents before their children.
 *
 * @param symbol `ioport_resource` or `iomem_resource`
 * @throws FaultError, ValidationError after the rows before the damage
 * @see kernel/resource.c
 */
export function* resources(kernel: Kernel, symbol: string): Generator<ResourceRow> {
  const root = findSymbolVa(kernel, symbol)
  if (root === undefined) return
  const seen = new Set<Va>()
  const open: { va: Va; depth: number }[] = [{ va: root, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const ref = refAt(kernel, 'resource', next.va)
    if (seen.has(next.va) || seen.size >= RESOURCES_MAX)
      throw new ValidationError(ref.$addr, 'a tree of resources', 'a loop')
    seen.add(next.va)
    const { depth } = next
    yield {
      resource: ref.$addr,
      start: ref.$int('start'),
      end: ref.$int('end'),
      name: readStringAt(ref, 'name', 128) ?? '',
      depth,
    }
    const sibling = ref.$ref('sibling')
    const child = ref.$ref('child')
    if (sibling !== null && depth > 0) open.push({ va: sibling.$va, depth })
    if (child !== null) open.push({ va: child.$va, depth: depth + 1 })
  }
}
