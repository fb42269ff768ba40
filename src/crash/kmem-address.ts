/** `kmem ADDRESS`: all that is known of an address — symbol, slab object, task, vmalloc area, page. */

import { hex, toAddr, toVa, type Va } from '../base/addr.ts'
import { compound_head } from '../helpers/slab-address.ts'
import { slab_object } from '../helpers/slab-object.ts'
import { cache_row, cpu_slabs, has_slub, slab_at, type CacheRow } from '../helpers/slab.ts'
import { PAGE_SIZE, page_row, pfn_to_page, type PageRow } from '../helpers/page.ts'
import { task_stack, thread_size } from '../helpers/stack.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import { findSymbolVa, refAt } from '../helpers/kernel.ts'
import { find_vmap_area, vmap_areas, type VmapRow } from '../helpers/vmalloc.ts'
import type { Target } from '../target/target.ts'
import { crashSymbolAt, symbolLine } from './data-symbol.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { pageHeader, pageLine } from './page-text.ts'
import { contextRow, contextText, type ContextRow } from './set-context.ts'
import { cacheHeader, cacheLine, slabText, type SlabJson } from './slab-text.ts'

/** An address in `kmem --json`; what it is not is absent. */
export interface KmemAddress {
  address: bigint
  symbol?: { readonly name: string; readonly offset: number; readonly module?: string }
  cache?: CacheRow
  slab?: SlabJson
  task?: ContextRow
  vmap?: VmapRow
  page?: PageRow
}

/** An address in `kmem -s --json`. */
export interface SlabAddressRow {
  readonly cache: CacheRow
  /** with that one object only */
  readonly slab: SlabJson
}

/** The line above {@link vmapLine}. */
export const VMAP_HEADER =
  '   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE\n'

export function vmapLine({ vmap_area, vm_struct, start, end }: VmapRow): string {
  const range = `${hex(start)} - ${hex(end)}`
  return `${hex(vmap_area)}  ${hex(vm_struct)}  ${range}  ${String(end - start).padStart(7)}\n`
}

/** `kmem -v` */
export function vmapReport(target: Target): Report {
  const rows: VmapRow[] = []
  let failed = false
  const text = function* (): Generator<string> {
    yield VMAP_HEADER
    try {
      for (const row of vmap_areas(target)) {
        rows.push(row)
        yield vmapLine(row)
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

/** @returns no text when nothing is known of it */
export function addressText(target: Target, va: Va): { row: KmemAddress; text: string; failed: boolean } {
  const row: KmemAddress = { address: toAddr(va) }
  const parts: string[] = []
  let failed = false
  for (const part of [symbolPart, slabPart, taskPart, vmapPart, pagePart]) {
    try {
      const text = part(target, va, row)
      if (text !== undefined) parts.push(text)
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      parts.push(`${faultMark(error)}\n`)
    }
  }
  return { row, text: parts.join('\n'), failed }
}

function symbolPart(target: Target, va: Va, row: KmemAddress): string | undefined {
  const hit = crashSymbolAt(target, toAddr(va))
  if (hit === undefined) return undefined
  const { name, module, offset } = hit
  row.symbol = { name, offset, ...(module !== undefined && { module }) }
  return `${symbolLine(hit, { offset })}${/^[tT]$/.test(hit.type) ? ' ' : ''}\n`
}

function slabPart(target: Target, va: Va, row: KmemAddress): string | undefined {
  const answer = slabAnswer(target, va)
  if (answer === undefined) return undefined
  row.cache = answer.row.cache
  row.slab = answer.row.slab
  return answer.text
}

/** The cache, slab and object an address of the direct map is in; undefined when it is in none. */
export function slabAnswer(target: Target, va: Va): { row: SlabAddressRow; text: string } | undefined {
  const phys = directMapped(target, va)
  if (phys === undefined || !has_slub(target)) return undefined
  const pfn = Math.floor(phys / PAGE_SIZE)
  const object = slab_object(target, va, pfn)
  const page = pfn_to_page(target, pfn)
  if (object === undefined || page === undefined) return undefined
  const slab = slab_at(target, compound_head(target, page.$va))
  const cache = refAt(target, 'kmem_cache', toVa(slab.$int('slab_cache'), target.wordSize))
  const summary = cache_row(target, cache)
  const owner = [...cpu_slabs(target, cache)].find((part) => part.slab?.$va === slab.$va)
  const { row, text } = slabText(target, cache, slab, owner, toAddr(object.va))
  return {
    row: { cache: summary, slab: row },
    text: `${cacheHeader(target)}${cacheLine(target, summary)}${text}`,
  }
}

/** The physical address, for addresses of the direct map only: slabs are there. */
function directMapped(target: Target, va: Va): number | undefined {
  const phys = target.virtToPhys(va)
  return phys !== undefined && va === target.pageOffset + phys ? phys : undefined
}

function taskPart(target: Target, va: Va, row: KmemAddress): string | undefined {
  const context = taskAt(target, va)
  if (context === undefined) return undefined
  row.task = contextRow(target, context)
  return contextText(row.task)
}

/** The task whose struct or stack holds an address. */
function taskAt(target: Target, va: Va): TaskContext | undefined {
  const table = task_table(target)
  const size = thread_size(target)
  const exact = table.byAddress(va)
  if (exact !== undefined) return exact
  // less than the type's size is allocated when the floating-point state is smaller than it could be
  const allocated = findSymbolVa(target, 'arch_task_struct_size')
  const length = allocated === undefined ? target.types.sizeof('task_struct') : target.mem.u32(allocated)
  const below = table.tasks.filter((t) => va >= t.va && va < t.va + length).sort((x, y) => y.va - x.va)
  return (
    below[0] ??
    table.tasks.find(({ task }) => {
      const stack = task_stack(task)
      return stack !== 0 && va >= stack && va < stack + size
    })
  )
}

function vmapPart(target: Target, va: Va, row: KmemAddress): string | undefined {
  const area = find_vmap_area(target, va)
  if (area === undefined) return undefined
  row.vmap = area
  return `${VMAP_HEADER}${vmapLine(area)}`
}

function pagePart(target: Target, va: Va, row: KmemAddress): string | undefined {
  const phys = target.virtToPhys(va)
  const page = phys === undefined ? undefined : pfn_to_page(target, Math.floor(phys / PAGE_SIZE))
  if (page === undefined) return undefined
  row.page = page_row(target, page)
  return `${pageHeader(target.wordSize)}\n${pageLine(row.page, target.wordSize)}\n`
}

/** Each address in turn. */
export function addressesReport(
  target: Target,
  addresses: readonly Va[],
  note: (line: string) => void,
  space: 'virtual' | 'physical' = 'virtual',
): Report {
  const rows: KmemAddress[] = []
  let failed = false
  const text = function* (): Generator<string> {
    for (const [i, va] of addresses.entries()) {
      const answer = addressText(target, space === 'physical' ? target.pageOffset + va : va)
      rows.push(answer.row)
      failed ||= answer.failed || answer.text === ''
      if (answer.text === '')
        note(
          `${hex(toAddr(va))}: ${space === 'physical' ? 'physical' : 'kernel virtual'} address not found in mem_map`,
        )
      else yield (i > 0 ? '\n' : '') + answer.text
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}
