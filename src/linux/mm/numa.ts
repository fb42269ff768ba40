/** The one memory node and its zones: what says how much memory there is. @see arch/x86/mm/numa.c, mm/page_alloc.c:free_area_init */

import { toVa } from '../../base/addr.ts'
import type { pglist_data, zone } from '../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import type { Kernel } from '../kernel.ts'
import { alloc_pages, get_order, page_address, zone_limits } from './page_alloc.ts'

/**
 * Describe the node and its zones: `contig_page_data` where there can only be one, else a `pg_data_t` of its own
 * in `node_data`.
 * @see arch/x86/mm/numa.c:alloc_node_data
 * @remarks free lists, watermarks and per-CPU page lists are not kept in memory
 */
export function alloc_node_data(k: Kernel): void {
  const nd = nodeData(k)
  if (nd === undefined) return
  const ids = k.symbols.get('nr_node_ids')
  if (ids !== undefined) k.mem.setU32(toVa(ids, k.mem.wordSize), 1)
  const pages = k.mem.sizeBytes / PAGE_SIZE
  nd.node_id = 0
  const zones = zone_limits(k)
  nd.nr_zones = 1 + zones.findIndex(([, limit]) => pages <= limit)
  // frame 0 belongs to the firmware
  nd.node_start_pfn = 1n
  nd.node_spanned_pages = BigInt(pages - 1)
  nd.node_present_pages = BigInt(pages - 1)
  let start = 1
  zones.forEach(([name, limit], i) => {
    const zone = nd.node_zones.ref(i) as zone | null
    const end = Math.min(limit, pages)
    if (zone === null) return
    describeZone(k, nd, zone, name, start, Math.max(start, end))
    start = Math.max(start, end)
  })
}

function nodeData(k: Kernel): pglist_data | undefined {
  if (!k.types.has('pglist_data', 'node_zones')) return undefined
  const table = k.symbols.get('node_data')
  if (table === undefined) {
    return k.symbols.has('contig_page_data') ? k.global('contig_page_data', 'pglist_data') : undefined
  }
  const nd = k.ref('pglist_data', page_address(k, alloc_pages(k, get_order(k.types.sizeof('pglist_data')))))
  k.mem.setPointer(toVa(table, k.mem.wordSize), nd.$va)
  return nd
}

function describeZone(
  k: Kernel,
  nd: pglist_data,
  zone: zone,
  name: string,
  start: number,
  end: number,
): void {
  zone.zone_pgdat = nd
  zone.zone_start_pfn = end > start ? BigInt(start) : 0n
  zone.spanned_pages = BigInt(end - start)
  zone.present_pages = BigInt(end - start)
  zone.managed_pages.counter = BigInt(end - start)
  // names are constants of the image, which has none of its own: each gets a page
  const text = page_address(k, alloc_pages(k))
  k.mem.write(text, Buffer.from(`${name}\0`, 'latin1'))
  k.mem.setPointer(zone.$vaOf('name'), text)
}
