/** Address spaces: the VMAs of a `struct mm_struct`, in the maple tree or the list of older kernels. */

import { toUserVa, toVa, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { mt_for_each, mt_load } from '../structures/maple_tree.ts'
import { file_path } from './fs.ts'

/** vm.max_map_count can be raised, not to this. */
const VMAS_MAX = 10_000_000

/**
 * The VMAs of an address space by address.
 *
 * @param mm `struct mm_struct *`
 * @returns `struct vm_area_struct *` each
 * @throws ValidationError, FaultError from a damaged tree or list, after the VMAs before the damage
 * @see include/linux/mm.h:for_each_vma
 */
export function* for_each_vma(mm: StructRef): Generator<StructRef> {
  const { $types: types, $mem: mem } = mm
  if (mm.$has('mm_mt')) {
    for (const { entry } of mt_for_each(types, mem, mm.$vaOf('mm_mt'))) yield vmaAt(mm, entry)
    return
  }
  let vma = mm.$ref('mmap')
  for (let hops = 0; vma !== null; hops++) {
    if (hops > VMAS_MAX) throw new ValidationError(mm.$addr, 'a VMA list that ends', 'a loop')
    yield vma
    vma = vma.$ref('vm_next')
  }
}

/** The VMA an address lies in; undefined when it lies in none. @see mm/mmap.c:vma_lookup */
export function vma_lookup(mm: StructRef, address: Va): StructRef | undefined {
  if (mm.$has('mm_mt')) {
    const found = mt_load(mm.$types, mm.$mem, mm.$vaOf('mm_mt'), address)
    return found === undefined ? undefined : vmaAt(mm, found.entry)
  }
  for (const vma of for_each_vma(mm)) {
    const { start, end } = vma_range(vma)
    if (address < start) return undefined
    if (address < end) return vma
  }
  return undefined
}

function vmaAt(mm: StructRef, entry: bigint): StructRef {
  return mm.$types.ref('vm_area_struct', mm.$mem, toVa(entry, mm.$mem.wordSize))
}

/** What a VMA covers, `end` exclusive. */
export function vma_range(vma: StructRef): { start: Va; end: Va } {
  const { wordSize } = vma.$mem
  return { start: toUserVa(vma.$int('vm_start'), wordSize), end: toUserVa(vma.$int('vm_end'), wordSize) }
}

/** `VM_*` flags. */
export function vma_flags(vma: StructRef): bigint {
  return vma.$int('vm_flags')
}

/** Path of the file a VMA maps, empty when it maps none. */
export function vma_path(vma: StructRef): string {
  const file = vma.$ref('vm_file')
  return file === null ? '' : file_path(file)
}
