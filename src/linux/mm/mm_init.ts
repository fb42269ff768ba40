/** Statically initialised memory-management variables. @see mm/mm_init.c, mm/init-mm.c */

import { toVa } from '../../base/addr.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import type { Kernel } from '../kernel.ts'

/** List heads and bitmaps the linker would have initialised. */
export function init_boot_lists(k: Kernel): void {
  for (const name of ['slab_caches', 'vmap_area_list'])
    INIT_LIST_HEAD(k.mem, toVa(k.sym(name), k.mem.wordSize))
  cpu_masks(k)
  k.mem.setU32(toVa(k.sym('nr_cpu_ids')), k.nr_cpu_ids)
  const pages = k.mem.sizeBytes / 4096
  setLong(k, 'max_pfn', BigInt(pages))
  setLong(k, 'max_low_pfn', BigInt(pages))
  setLong(k, '_totalram_pages', BigInt(pages))
  const direct = k.mem.pointer(toVa(k.sym('page_offset_base')))
  setLong(k, 'high_memory', BigInt.asUintN(64, BigInt(direct + k.mem.sizeBytes)))
  const init_mm = k.global('init_mm', 'mm_struct')
  init_mm.pgd = k.sym('init_top_pgt')
  init_mm.mm_users.counter = 2
  init_mm.mm_count.counter = 1
  init_mm.start_code = k.sym('_stext')
  init_mm.end_code = k.sym('_etext')
  init_mm.end_data = k.sym('_edata')
  init_mm.brk = k.sym('_end')
  INIT_LIST_HEAD(k.mem, init_mm.mmlist.$va)
}

/** @see kernel/cpu.c */
function cpu_masks(k: Kernel): void {
  const all = (1n << BigInt(k.nr_cpu_ids)) - 1n
  for (const which of ['possible', 'present', 'online', 'active']) setLong(k, `__cpu_${which}_mask`, all)
}

function setLong(k: Kernel, symbol: string, value: bigint): void {
  const at = k.symbols.get(symbol)
  if (at !== undefined && value !== 0n) k.mem.setWord(toVa(at, k.mem.wordSize), value)
}
