/** `struct idr`: numbers handed out for pointers, an xarray underneath. Write forms; reading is `xa_load` on `idr_rt`. */

import type { Va } from '../base/addr.ts'
import type { Types } from '../btf/types.ts'
import type { WritableMemory } from '../memory/memory.ts'
import { XA_FLAGS_TRACK_FREE, xa_load, xa_store, type XaNodes } from './xarray.ts'

/** A fresh IDR is an id allocator with room. @see include/linux/idr.h:IDR_RT_MARKER */
const IDR_RT_MARKER = XA_FLAGS_TRACK_FREE | (1 << 27)

/** @see include/linux/idr.h:idr_init_base */
export function idr_init(types: Types, mem: WritableMemory, idr: Va, base = 0): void {
  mem.fill(idr, 0, types.sizeof('idr'))
  mem.setU32(idr + types.offsetof('idr', 'idr_rt.xa_flags'), IDR_RT_MARKER)
  mem.setU32(idr + types.offsetof('idr', 'idr_base'), base)
}

/**
 * The lowest free id of a range gets the pointer.
 *
 * @param idr   address of the `struct idr`
 * @param end   one past the highest id
 * @returns the id, or -1 when the range is full
 * @see lib/idr.c:idr_alloc
 */
export function idr_alloc(
  types: Types,
  mem: WritableMemory,
  idr: Va,
  pointer: Va,
  start: number,
  end: number,
  nodes: XaNodes,
): number {
  const base = mem.u32(idr + types.offsetof('idr', 'idr_base'))
  const xa = idr + types.offsetof('idr', 'idr_rt')
  for (let id = start; id < end; id++) {
    if (xa_load(types, mem, xa, id - base) !== 0n) continue
    xa_store(types, mem, xa, id - base, BigInt.asUintN(64, BigInt(pointer)), nodes)
    return id
  }
  return -1
}

/** As {@link idr_alloc}, going on from the last id. @see lib/idr.c:idr_alloc_cyclic */
export function idr_alloc_cyclic(
  types: Types,
  mem: WritableMemory,
  idr: Va,
  pointer: Va,
  start: number,
  end: number,
  nodes: XaNodes,
): number {
  const next = idr + types.offsetof('idr', 'idr_next')
  const from = Math.max(mem.u32(next), start)
  let id = idr_alloc(types, mem, idr, pointer, from, end, nodes)
  if (id < 0 && from > start) id = idr_alloc(types, mem, idr, pointer, start, end, nodes)
  if (id >= 0) mem.setU32(next, id + 1)
  return id
}

/** @returns the pointer that was there @see lib/idr.c:idr_remove */
export function idr_remove(types: Types, mem: WritableMemory, idr: Va, id: number, nodes: XaNodes): bigint {
  const base = mem.u32(idr + types.offsetof('idr', 'idr_base'))
  return xa_store(types, mem, idr + types.offsetof('idr', 'idr_rt'), id - base, 0n, nodes)
}
