/** VMCOREINFO: the note by which a dump tells where its kernel is. @see kernel/crash_core.c:crash_save_vmcoreinfo_init */

import { hex, toVa } from '../../base/addr.ts'
import { init_top_pgt } from '../arch/x86/mm/pgtable.ts'
import type { Kernel } from '../kernel.ts'
import { alloc_pages, page_address } from '../mm/page_alloc.ts'

/** Struct members the note gives offsets of. */
const OFFSETS: Readonly<Record<string, readonly string[]>> = {
  page: [
    'flags',
    '_refcount',
    'mapping',
    'lru',
    '_mapcount',
    'private',
    'compound_dtor',
    'compound_order',
    'compound_head',
  ],
  pglist_data: ['node_zones', 'nr_zones', 'node_start_pfn', 'node_spanned_pages', 'node_id'],
  zone: ['free_area', 'vm_stat', 'spanned_pages'],
  free_area: ['free_list'],
  list_head: ['next', 'prev'],
  vmap_area: ['va_start', 'list'],
  printk_ringbuffer: ['desc_ring', 'text_data_ring', 'fail'],
  prb_desc_ring: ['count_bits', 'descs', 'infos', 'head_id', 'tail_id'],
  prb_desc: ['state_var', 'text_blk_lpos'],
  prb_data_blk_lpos: ['begin', 'next'],
  printk_info: ['seq', 'ts_nsec', 'text_len', 'caller_id', 'dev_info'],
  dev_printk_info: ['subsystem', 'device'],
  prb_data_ring: ['size_bits', 'data', 'head_lpos', 'tail_lpos'],
}

/** Structs whose size it gives. */
const SIZES = [
  'page', 'pglist_data', 'zone', 'free_area', 'list_head', 'printk_ringbuffer', 'prb_desc_ring', 'prb_desc',
  'prb_data_blk_lpos', 'printk_info', 'dev_printk_info', 'prb_data_ring', 'atomic_long_t',
] // prettier-ignore

const SYMBOLS = [
  'init_uts_ns', 'node_online_map', '_stext', 'vmap_area_list', 'prb', 'printk_rb_static', 'clear_seq',
  'kallsyms_names', 'kallsyms_num_syms', 'kallsyms_token_table', 'kallsyms_token_index', 'kallsyms_offsets',
  'kallsyms_relative_base', 'init_top_pgt', 'node_data', 'mem_map', 'contig_page_data',
] // prettier-ignore

/** Page flag and page type numbers of 6.1. */
const NUMBERS: Readonly<Record<string, number>> = {
  NR_FREE_PAGES: 0,
  PG_lru: 4,
  PG_private: 13,
  PG_swapcache: 10,
  PG_swapbacked: 19,
  PG_slab: 9,
  PG_hwpoison: 23,
  PG_head_mask: 65536,
  PAGE_BUDDY_MAPCOUNT_VALUE: -129,
  HUGETLB_PAGE_DTOR: 2,
  PAGE_OFFLINE_MAPCOUNT_VALUE: -257,
}

/** @see arch/x86/kernel/crash_core_64.c:arch_crash_save_vmcoreinfo */
const NUMBERS_64: Readonly<Record<string, number>> = {
  pgtable_l5_enabled: 0,
  KERNEL_IMAGE_SIZE: 1 << 30,
  sme_mask: 0,
}

/**
 * Write the note's text into a page of its own and remember it in `vmcoreinfo_data`.
 * @returns the text
 */
export function crash_save_vmcoreinfo_init(k: Kernel, physBase: number, buildId: string): string {
  const { types } = k
  const lines = [
    `OSRELEASE=${k.profile.release}`,
    `BUILD-ID=${buildId}`,
    'PAGESIZE=4096',
    'OFFSET(uts_namespace.name)=0',
    `SYMBOL(swapper_pg_dir)=${hex(init_top_pgt(k))}`,
    ...(k.mem.wordSize === 8 ? [`NUMBER(phys_base)=${physBase}`] : []),
    'KERNELOFFSET=0',
    ...(k.profile.pae ? ['CONFIG_X86_PAE=y'] : []),
  ]
  for (const name of SYMBOLS) {
    const address = k.symbols.get(name)
    if (address !== undefined) lines.push(`SYMBOL(${name})=${hex(address)}`)
  }
  for (const name of SIZES) if (types.has(name)) lines.push(`SIZE(${name})=${types.sizeof(name)}`)
  for (const [struct, members] of Object.entries(OFFSETS)) {
    for (const member of members) {
      if (types.has(struct, member))
        lines.push(`OFFSET(${struct}.${member})=${types.offsetof(struct, member)}`)
    }
  }
  const numbers = k.mem.wordSize === 8 ? { ...NUMBERS, ...NUMBERS_64 } : NUMBERS
  for (const [name, value] of Object.entries(numbers)) lines.push(`NUMBER(${name})=${value}`)
  lines.push('LENGTH(printk_info_subsystem)=16', 'LENGTH(printk_info_device)=48')
  if (k.symbols.has('node_data')) lines.push('LENGTH(node_data)=1024')
  const text = `${lines.join('\n')}\n`
  const page = page_address(k, alloc_pages(k))
  k.mem.write(page, Buffer.from(text, 'latin1'))
  k.mem.setPointer(toVa(k.sym('vmcoreinfo_data'), k.mem.wordSize), page)
  return text
}
