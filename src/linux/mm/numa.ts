/** The one memory node and its zones: what says how much memory there is. @see arch/x86/mm/numa.c, mm/page_alloc.c:free_area_init */

import { toVa } from '../../base/addr.ts'
import type { pglist_data, zone } from '../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import type { Kernel } from '../kernel.ts'
import { alloc_pages, page_address } from './page_alloc.ts'

/** First frame behind each zone: 16 MiB, 4 GiB, the rest. */
const ZONES = [
  ['DMA', 4096],
  ['DMA32', 1 << 20],
  ['Normal', Infinity],
] as const

/**
 * Allocate the node's `pg_data_t`, put it into `node_data`, and describe its zones.
 * @see arch/x86/mm/numa.c:alloc_node_data
 * @remarks free lists, watermarks and per-CPU page lists are not kept in memory
 */
export function alloc_node_data(k: Kernel): void {
  const table = k.symbols.get('node_data')
  if (table === undefined || !k.types.has('pglist_data', 'node_zones')) return
  let order = 0
  while (PAGE_SIZE << order < k.types.sizeof('pglist_data')) order++
  const nd: pglist_data = k.ref('pglist_data', page_address(k, alloc_pages(k, order)))
  k.mem.setPointer(toVa(table, k.mem.wordSize), nd.$va)
  const ids = k.symbols.get('nr_node_ids')
  if (ids !== undefined) k.mem.setU32(toVa(ids, k.mem.wordSize), 1)
  const pages = k.mem.sizeBytes / PAGE_SIZE
  nd.node_id = 0
  nd.nr_zones = 1 + ZONES.findIndex(([, limit]) => pages <= limit)
  // frame 0 belongs to the firmware
  nd.node_start_pfn = 1n
  nd.node_spanned_pages = BigInt(pages - 1)
  nd.node_present_pages = BigInt(pages - 1)
  let start = 1
  ZONES.forEach(([name, limit], i) => {
    const zone = nd.node_zones.ref(i) as zone | null
    const end = Math.min(limit, pages)
    if (zone === null) return
    describeZone(k, nd, zone, name, start, Math.max(start, end))
    start = Math.max(start, end)
  })
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
