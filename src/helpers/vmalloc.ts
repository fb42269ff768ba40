/** The areas of the kernel's vmalloc space. */

import { toAddr, toVa, type Va } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { findSymbolVa, refAt, type Kernel } from './kernel.ts'

const AREAS_MAX = 1_000_000
/** Larger ones can only come of damage. */
const AREA_MAX = 2 ** 36
const NODES_MAX = 4096

/** One area. */
export interface VmapRow {
  readonly vmap_area: bigint
  readonly vm_struct: bigint
  readonly start: bigint
  readonly end: bigint
}

/** An area in use. */
interface UsedArea {
  readonly area: StructRef
  readonly vm: StructRef
}

/**
 * The areas that a `struct vm_struct` describes, by address.
 *
 * @throws FaultError, ValidationError from a damaged list
 * @see mm/vmalloc.c:vmap_area_list, and vmap_nodes since 6.9
 */
function* for_each_used(kernel: Kernel): Generator<UsedArea> {
  const head = findSymbolVa(kernel, 'vmap_area_list')
  if (head !== undefined) {
    yield* used_on(kernel, head)
    return
  }
  const heads = node_lists(kernel)
  const areas = heads.flatMap((list) => [...used_on(kernel, list)])
  yield* areas.sort((a, b) => compare(a.area.$int('va_start'), b.area.$int('va_start')))
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

function* used_on(kernel: Kernel, head: Va): Generator<UsedArea> {
  for (const area of list_for_each_entry(kernel.types, kernel.mem, head, 'vmap_area', 'list', AREAS_MAX)) {
    const vm = area.$ref('vm')
    if (vm !== null) yield { area, vm }
  }
}

/** Heads of the lists of each `struct vmap_node`. */
function node_lists(kernel: Kernel): Va[] {
  const nodes = findSymbolVa(kernel, 'vmap_nodes')
  if (nodes === undefined || !kernel.types.has('vmap_node', 'busy')) return []
  const count = findSymbolVa(kernel, 'nr_vmap_nodes')
  const length = count === undefined ? 1 : Math.min(kernel.mem.u32(count), NODES_MAX)
  const first = refAt(kernel, 'vmap_node', kernel.mem.pointer(nodes))
  return Array.from({ length }, (_, i) => first.$index(i).$vaOf('busy.head'))
}

/** The areas with their structs. @throws FaultError, ValidationError from a damaged list */
export function* vmap_areas(kernel: Kernel): Generator<VmapRow> {
  for (const { area, vm } of for_each_used(kernel)) yield vmapRow(area, vm)
}

function vmapRow(area: StructRef, vm: StructRef): VmapRow {
  const start = vm.$int('addr')
  return { vmap_area: area.$addr, vm_struct: vm.$addr, start, end: start + vm.$int('size') }
}

/** Where vmalloc and modules lie. A damaged list ends where it is damaged. */
export function* vmalloc_ranges(kernel: Kernel): Generator<{ start: Va; end: Va }> {
  const { wordSize } = kernel.mem
  try {
    for (const { area } of for_each_used(kernel)) {
      const start = toVa(area.$int('va_start'), wordSize)
      const end = toVa(area.$int('va_end'), wordSize)
      if (end > start && end - start < AREA_MAX) yield { start, end }
    }
  } catch (error) {
    if (!(error instanceof FaultError || error instanceof ValidationError)) throw error
  }
}

/** The area an address lies in. */
export function find_vmap_area(kernel: Kernel, va: Va): VmapRow | undefined {
  const at = toAddr(va)
  for (const row of vmap_areas(kernel)) if (at >= row.start && at < row.end) return row
  return undefined
}
