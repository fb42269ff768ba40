/** The areas of the kernel's vmalloc space. */

import { toAddr, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { symbolVa, type Kernel } from './kernel.ts'

const AREAS_MAX = 1_000_000

/** One area. */
export interface VmapRow {
  readonly vmap_area: bigint
  readonly vm_struct: bigint
  readonly start: bigint
  readonly end: bigint
}

/** Areas that a `struct vm_struct` describes, by address. @throws FaultError, ValidationError from a damaged list */
export function* vmap_areas(kernel: Kernel): Generator<VmapRow> {
  const head = symbolVa(kernel, 'vmap_area_list')
  for (const area of list_for_each_entry(kernel.types, kernel.mem, head, 'vmap_area', 'list', AREAS_MAX)) {
    const vm = area.$ref('vm')
    if (vm !== null) yield vmapRow(area, vm)
  }
}

function vmapRow(area: StructRef, vm: StructRef): VmapRow {
  const start = vm.$int('addr')
  return { vmap_area: area.$addr, vm_struct: vm.$addr, start, end: start + vm.$int('size') }
}

/** The area an address lies in. */
export function find_vmap_area(kernel: Kernel, va: Va): VmapRow | undefined {
  const at = toAddr(va)
  for (const row of vmap_areas(kernel)) if (at >= row.start && at < row.end) return row
  return undefined
}
