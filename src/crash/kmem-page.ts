/** `kmem -p` and `kmem -m`: every `struct page` there is, in words or member by member. */

import { hex, toVa } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { page_row, pfn_to_page, type PageRow } from '../helpers/page.ts'
import { section_frames, sections } from '../helpers/sparse.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { pageHeader, pageLine } from './page-text.ts'

/** A page of `kmem -m --json`: its address and the members asked for. */
export type PageMembersRow = { readonly page: bigint } & Readonly<Record<string, bigint>>

/** Frames that have a `struct page`, by section, or by the ranges of the dump where there are no sections. */
function* frames(target: Target): Generator<StructRef> {
  let any = false
  const size = target.types.sizeof('page')
  for (const { mem_map } of sections(target)) {
    any = true
    const first = toVa(mem_map, target.wordSize)
    for (let i = 0; i < section_frames(target); i++) yield target.ref('page', first + i * size)
  }
  if (any) return
  for (const { startPfn, endPfn } of target.container.ranges) {
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = pfn_to_page(target, pfn)
      if (page !== undefined) yield page
    }
  }
}

/** A line for each page; where the array itself cannot be read, one mark for the run of pages. */
function pagesReport<R>(
  target: Target,
  header: string,
  pages: () => Iterable<StructRef>,
  one: (page: StructRef) => { row: R; line: string },
): Report {
  const rows: R[] = []
  let failed = false
  const text = function* (): Generator<string> {
    yield header
    let mark: string | undefined
    try {
      for (const page of pages()) {
        try {
          const { row, line } = one(page)
          rows.push(row)
          yield line
          mark = undefined
        } catch (error) {
          if (!isDamage(error)) throw error
          failed = true
          // the address in a mark is of the page; a run of unreadable ones is one line
          const kind = faultMark(error).replace(/ 0x.*/, '')
          if (kind !== mark) yield `${hex(page.$addr)}  ${faultMark(error)}\n`
          mark = kind
        }
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

/** `kmem -p` */
export function pageReport(target: Target): Report {
  return pagesReport<PageRow>(
    target,
    `${pageHeader(target.wordSize)}\n`,
    () => frames(target),
    (page) => {
      const row = page_row(target, page)
      return { row, line: `${pageLine(row, target.wordSize)}\n` }
    },
  )
}

/**
 * `kmem -m member[,member]`
 * @throws UsageError when `struct page` has no such member, or it is no number
 */
export function pageMembersReport(target: Target, members: readonly string[]): Report {
  const width = addressWidth(target.wordSize)
  const probe = target.ref('page', toVa(0n, target.wordSize))
  for (const member of members) {
    if (!probe.$has(member)) throw new UsageError(member, `page structure does not have member: ${member}`)
  }
  const widths = members.map((member) => Math.max(width, member.length))
  const header = members.map((member, i) => center(member, widths[i] as number)).join('  ')
  return pagesReport<PageMembersRow>(
    target,
    `${center('PAGE', width)}  ${header}\n`,
    () => frames(target),
    (page) => {
      const values = members.map((member) => BigInt.asUintN(target.wordSize * 8, page.$int(member)))
      const cells = values.map((value, i) => hex(value).padStart(widths[i] as number))
      const row: Record<string, bigint> = Object.fromEntries(members.map((m, i) => [m, values[i] as bigint]))
      return {
        row: { ...row, page: page.$addr },
        line: `${hex(page.$addr).padStart(width)}  ${cells.join('  ')}\n`,
      }
    },
  )
}
