/** Statically initialised memory-management variables. @see mm/mm_init.c, mm/init-mm.c */

import { toAddr, toVa } from '../../base/addr.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { init_top_pgt } from '../arch/x86/mm/pgtable.ts'
import type { Kernel } from '../kernel.ts'
import { max_low_pfn, page_address } from './page_alloc.ts'

/** List heads and bitmaps the linker would have initialised. */
export function init_boot_lists(k: Kernel): void {
  for (const name of ['slab_caches', 'vmap_area_list'])
    INIT_LIST_HEAD(k.mem, toVa(k.sym(name), k.mem.wordSize))
  cpu_masks(k)
  k.mem.setU32(toVa(k.sym('nr_cpu_ids'), k.mem.wordSize), k.nr_cpu_ids)
  const pages = k.mem.sizeBytes / 4096
  setLong(k, 'max_pfn', BigInt(pages))
  setLong(k, 'max_low_pfn', BigInt(max_low_pfn(k)))
  setLong(k, '_totalram_pages', BigInt(pages))
  setLong(k, 'high_memory', toAddr(page_address(k, max_low_pfn(k))))
  const init_mm = k.global('init_mm', 'mm_struct')
  k.mem.setPointer(init_mm.$vaOf('pgd'), init_top_pgt(k))
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
