/** A virtual address translated with everything on the way: tables, entry, VMA, page. */

import { addr, hex, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { symbolVa } from '../helpers/kernel.ts'
import { vma_lookup, vma_range } from '../helpers/mm.ts'
import { page_row, pfn_to_page, type PageRow } from '../helpers/page.ts'
import { translate_pte } from '../helpers/pte.ts'
import { addressWidth } from '../render/columns.ts'
import type { Walk, WalkEntry } from '../target/page-table.ts'
import type { Target } from '../target/target.ts'
import { pageHeader, pageLine } from './page-text.ts'
import { pteText } from './pte-text.ts'
import { USER_WIDTH, vmaFile, vmaHeader, vmaJson, vmaLine, type VmaJson } from './vma-text.ts'

const PAGE_SIZE = 4096

/** An address in `vtop --json`. */
export interface VtopJson {
  readonly virtual: bigint
  readonly space: 'user' | 'kernel'
  /** absent when it is not mapped */
  readonly physical?: bigint
  /** false for a user address outside every VMA */
  readonly accessible: boolean
  readonly entries: readonly { readonly level: string; readonly address: bigint; readonly value: bigint }[]
  readonly pageSize?: number
  readonly flags?: readonly string[]
  readonly vma?: VmaJson
  readonly page?: PageRow
}

export interface VtopAnswer {
  readonly rows: VtopJson
  readonly text: string
  /** did the text need the header of the page table? */
  readonly hasPage: boolean
  readonly failed: boolean
}

/** Translate a kernel address. @param header is the line above the page wanted? */
export function kernelVtop(target: Target, va: Va, header: boolean): VtopAnswer {
  const walk = target.walk(va)
  const width = addressWidth(target.wordSize)
  const [top, ...rest] = walk.entries
  const lines = [
    ...head(va, width, walk),
    `PGD DIRECTORY: ${hex(BigInt(symbolVa(target, rootSymbol(target))))}`,
    `PAGE DIRECTORY: ${hex(top?.value ?? 0n)}`,
    ...rest.map(entryLine),
  ]
  const base = { virtual: addr(va) as bigint, space: 'kernel' as const, accessible: true, ...walkJson(walk) }
  const leaf = walk.entries.at(-1)
  if (walk.phys === undefined || leaf === undefined) {
    return { rows: base, text: joined([...lines, '']), hasPage: false, failed: true }
  }
  const large = walk.pageSize > PAGE_SIZE ? `  ${largeName(walk.pageSize)}` : ''
  lines.push(`  PAGE: ${hex(pageBase(walk))}${large}`, '')
  const page = pageText(target, walk.phys, header)
  const text = `${joined(lines)}${pteText(leaf.value, entrySize(target))}\n${page.text}`
  return { ...page, rows: { ...base, ...page.rows }, text, failed: false }
}

/**
 * Translate an address of a task's user space.
 *
 * @param task `struct task_struct *`; a kernel thread has none of it
 */
export function userVtop(target: Target, task: StructRef, va: Va, header: boolean): VtopAnswer {
  const mm = task.$ref('mm')
  const vma = mm === null ? undefined : vma_lookup(mm, va)
  const base = { virtual: addr(va) as bigint, space: 'user' as const }
  if (mm === null || vma === undefined) {
    const lines = [...title(USER_WIDTH), `${hex(addr(va)).padEnd(USER_WIDTH)}  (not accessible)`, '']
    const rows = { ...base, accessible: false, entries: [] }
    return { rows, text: joined(lines), hasPage: false, failed: true }
  }
  const walk = target.memoryOf(mm).table.walk(va)
  const lines = [...head(va, USER_WIDTH, walk), ...walk.entries.map(entryLine)]
  const rows = { ...base, accessible: true, ...walkJson(walk), vma: vmaJson(vma) }
  const leaf = walk.entries.at(-1)
  if (walk.phys === undefined || leaf === undefined) {
    const text = joined([...lines, '', ...vmaLines(target, vma), '', ...fileLines(vma, va)])
    return { rows, text, hasPage: false, failed: isMissing(walk) }
  }
  lines.push(
    `  PAGE: ${hex(pageBase(walk))}  ${walk.pageSize > PAGE_SIZE ? largeName(walk.pageSize) : ''}`,
    '',
  )
  const page = pageText(target, walk.phys, header)
  const table = joined(['', ...vmaLines(target, vma), ''])
  const text = `${joined(lines)}${pteText(leaf.value, entrySize(target))}${table}${page.text}`
  return { ...page, rows: { ...rows, ...page.rows }, text, failed: false }
}

const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

function title(width: number): string[] {
  return [`${'VIRTUAL'.padEnd(width)}  ${'PHYSICAL'.padEnd(16)}`]
}

function head(va: Va, width: number, walk: Walk): string[] {
  const physical = walk.phys === undefined ? notMapped(walk) : hex(walk.phys).padEnd(16)
  return [...title(width), `${hex(addr(va)).padEnd(width)}  ${physical}`, '']
}

/** A table that is not in the dump is not the same as an entry that says no. */
function notMapped(walk: Walk): string {
  return isMissing(walk) ? `(${walk.reason ?? ''} page table)` : '(not mapped)'
}

const isMissing = ({ reason }: Walk): boolean => reason === 'excluded' || reason === 'missing'

function entryLine({ level, entryAddr, value }: WalkEntry): string {
  return `   ${level}: ${hex(entryAddr)} => ${hex(value)}`
}

const largeName = (size: number): string =>
  size >= 2 ** 30 ? `(${size / 2 ** 30}GB)` : `(${size / 2 ** 20}MB)`

const pageBase = ({ phys = 0, pageSize }: Walk): number => Math.floor(phys / pageSize) * pageSize

const entrySize = (target: Target): 4 | 8 => (target.space.mode === 'i386' ? 4 : 8)

function rootSymbol(target: Target): string {
  const names = ['swapper_pg_dir', 'init_top_pgt', 'init_level4_pgt']
  return names.find((name) => target.symbols.has(name)) ?? 'swapper_pg_dir'
}

function walkJson(walk: Walk): Pick<VtopJson, 'entries' | 'physical' | 'pageSize' | 'flags'> {
  const entries = walk.entries.map(({ level, entryAddr, value }) => ({
    level,
    address: BigInt(entryAddr),
    value,
  }))
  const leaf = walk.entries.at(-1)
  if (walk.phys === undefined || leaf === undefined) return { entries }
  return {
    entries,
    physical: BigInt(walk.phys),
    pageSize: walk.pageSize,
    flags: translate_pte(leaf.value).flags,
  }
}

/** The VMA's header and line. */
function vmaLines(target: Target, vma: StructRef): string[] {
  return [vmaHeader(target.wordSize), vmaLine(vmaJson(vma), target.wordSize)]
}

/** Where a page that is not in memory would come from: file and byte offset. */
function fileLines(vma: StructRef, va: Va): string[] {
  const file = vmaFile(vma)
  if (file === '') return []
  const offset = BigInt(va - vma_range(vma).start) + vma.$int('vm_pgoff') * BigInt(PAGE_SIZE)
  return [`FILE: ${file}  OFFSET: ${hex(offset)}`, '']
}

/** The page the address lies in; nothing where the kernel has no struct page for it. */
function pageText(
  target: Target,
  phys: number,
  header: boolean,
): { text: string; hasPage: boolean; rows: { page?: PageRow } } {
  const page = pfn_to_page(target, Math.floor(phys / PAGE_SIZE))
  if (page === undefined) return { text: '', hasPage: false, rows: {} }
  const row = page_row(target, page)
  const title = header ? `${pageHeader(target.wordSize)}\n` : ''
  return { text: `${title}${pageLine(row, target.wordSize)}\n`, hasPage: true, rows: { page: row } }
}
