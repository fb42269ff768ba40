/** `vm`: a task's address space: its size, its VMAs, their pages. */

import { addr, hex, type Va } from '../base/addr.ts'
import { ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { CValue } from '../btf/value.ts'
import { for_each_vma, vma_range } from '../helpers/mm.ts'
import { mm_rss, task_memory } from '../helpers/task-memory.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import { plainValue, type PlainValue } from '../render/c-plain.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target, UserMemory } from '../target/target.ts'
import type { TaskAnswer } from './each-task.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { taskHeader } from './task-header.ts'
import { USER_WIDTH, vmaFile, vmaHeader, vmaJson, vmaLine, type VmaJson } from './vma-text.ts'

const PAGE_SIZE = 4096
/** Pages listed of one address space (8 GiB): far more can only come of damaged bounds, and all are kept. */
const PAGES_MAX = 1 << 21

/** A page of a VMA in `vm -p --json`. */
export interface VmPageJson {
  readonly virtual: bigint
  /** absent when it is not in memory */
  readonly physical?: bigint
  /** where it would come from */
  readonly file?: string
  readonly offset?: bigint
  /** the page table that says so is not in the dump */
  readonly unknown?: true
}

/** A task in `vm --json`. */
export interface VmJson {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  /** 0 for a kernel thread */
  readonly mm: bigint
  readonly pgd: bigint
  readonly rss_kb: number
  readonly total_vm_kb: number
  readonly vmas: readonly (VmaJson & {
    readonly pages?: readonly VmPageJson[]
    readonly vm_area_struct?: PlainValue
  })[]
  readonly mm_struct?: PlainValue
}

export interface VmOptions {
  /** `pages`: each VMA with its pages; `mm`, `vmas`: the C structs */
  readonly show: 'vmas' | 'pages' | 'mm-struct' | 'vma-structs'
  /** only VMAs with this number in one of their columns, or this text in their path */
  readonly reference?: string | undefined
  /** `struct mm_struct *` to take for the task's own */
  readonly mm?: StructRef | undefined
  readonly print: PrintOptions
}

/** One task's address space. Damage is named where it lies; what comes before it is shown. */
export function vmAnswer(target: Target, context: TaskContext, options: VmOptions): TaskAnswer<VmJson> {
  return new AddressSpace(target, context, options).answer()
}

class AddressSpace {
  readonly #target: Target
  readonly #context: TaskContext
  readonly #options: VmOptions
  readonly #mm: StructRef | null
  readonly #vmas: VmJson['vmas'][number][] = []
  #failed = false
  #pagesLeft = PAGES_MAX

  constructor(target: Target, context: TaskContext, options: VmOptions) {
    this.#target = target
    this.#context = context
    this.#options = options
    this.#mm = options.mm ?? context.task.$ref('mm')
  }

  answer(): TaskAnswer<VmJson> {
    const { pid, task, comm } = this.#context
    const rows = { pid, task: task.$addr, comm, ...this.#size(), vmas: this.#vmas }
    const struct = this.#options.show === 'mm-struct' ? this.#mmStruct() : undefined
    const text = this.#options.show === 'mm-struct' ? (struct?.text ?? '') : this.#text(rows)
    return {
      rows: struct === undefined ? rows : { ...rows, mm_struct: struct.plain },
      ...(this.#options.reference !== undefined && { shown: text !== '' }),
      text: text === '' && this.#options.reference !== undefined ? '' : taskHeader(this.#context) + text,
      failed: this.#failed,
    }
  }

  /** As crash counts a task's memory; nothing of a kernel thread. */
  #size(): Pick<VmJson, 'mm' | 'pgd' | 'rss_kb' | 'total_vm_kb'> {
    const { mm } = this.#options
    const kb = (pages: bigint): number => Number(pages) * (PAGE_SIZE / 1024)
    if (mm !== undefined) {
      const rss_kb = kb(mm_rss(this.#target, mm))
      return { mm: mm.$addr, pgd: mm.$int('pgd'), rss_kb, total_vm_kb: kb(mm.$int('total_vm')) }
    }
    const size = task_memory(task_table(this.#target), this.#context)
    return { mm: addr(size.mm), pgd: addr(size.pgd), rss_kb: kb(size.rss), total_vm_kb: kb(size.total_vm) }
  }

  #text(rows: VmJson): string {
    const { show, reference } = this.#options
    const lines: string[] = []
    if (this.#mm !== null) {
      try {
        for (const vma of for_each_vma(this.#mm)) lines.push(...this.#vma(vma, lines.length === 0))
      } catch (error) {
        if (!isDamage(error)) throw error
        this.#failed = true
        lines.push(faultMark(error))
      }
    }
    if (reference !== undefined && lines.length === 0) return ''
    const size = show === 'vma-structs' ? [] : sizeLines(rows, this.#target.wordSize)
    const end = reference === undefined ? '' : '\n'
    return [...size, ...lines].map((line) => `${line}\n`).join('') + end
  }

  #vma(vma: StructRef, first: boolean): string[] {
    const { show, reference, print } = this.#options
    const { wordSize } = this.#target
    const row = vmaJson(vma)
    if (reference !== undefined && !refersTo(row, reference)) return []
    if (show === 'vma-structs') {
      const value = this.#value(vma)
      this.#vmas.push({ ...row, vm_area_struct: plainValue(value, print) })
      return [`struct vm_area_struct ${valueText(value, print)}`]
    }
    const line = vmaLine(row, wordSize)
    if (show === 'vmas') {
      this.#vmas.push(row)
      return first ? [vmaHeader(wordSize), line] : [line]
    }
    const pages = [...vmaPages(this.#target.memoryOf(this.#mm as StructRef), vma, this.#pagesLeft)]
    this.#pagesLeft -= pages.length
    this.#vmas.push({ ...row, pages })
    const title = `${'VIRTUAL'.padEnd(USER_WIDTH)}  PHYSICAL`
    return [vmaHeader(wordSize), line, title, ...pages.map(pageLine)]
  }

  #mmStruct(): { text: string; plain: PlainValue } | undefined {
    if (this.#mm === null) return undefined
    const value = this.#value(this.#mm)
    const { print } = this.#options
    return { text: `struct mm_struct ${valueText(value, print)}\n`, plain: plainValue(value, print) }
  }

  #value(ref: StructRef): CValue {
    return CValue.at(this.#target.types, this.#target.mem, ref.$type, ref.$addr)
  }
}

function sizeLines({ mm, pgd, rss_kb, total_vm_kb }: VmJson, wordSize: 4 | 8): string[] {
  const width = addressWidth(wordSize)
  const line = (mmText: string, pgdText: string, rss: string, total: string): string =>
    [center(mmText, width), center(pgdText, width), center(rss, 6), center(total, 'TOTAL_VM'.length)].join(
      '  ',
    )
  return [line('MM', 'PGD', 'RSS', 'TOTAL_VM'), line(hex(mm), hex(pgd), `${rss_kb}k`, `${total_vm_kb}k`)]
}

function refersTo({ vma, start, end, flags, file }: VmaJson, reference: string): boolean {
  if (file.includes(reference)) return true
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(reference)) return false
  const value = BigInt(`0x${reference.replace(/^0x/i, '')}`)
  return [vma, start, end, flags].includes(value)
}

/** Every page of a VMA: where it is, or where it would come from. @throws ValidationError for bounds that are none */
function* vmaPages(memory: UserMemory, vma: StructRef, most: number): Generator<VmPageJson> {
  const { start, end } = vma_range(vma)
  if (!(end >= start && (end - start) / PAGE_SIZE <= most))
    throw new ValidationError(vma.$addr, 'a VMA of a sane size', `${hex(addr(start))}-${hex(addr(end))}`)
  const file = vmaFile(vma)
  const first = vma.$int('vm_pgoff') * BigInt(PAGE_SIZE)
  for (let va: Va = start; va < end; va += PAGE_SIZE) {
    const virtual = addr(va)
    const { phys, reason } = memory.table.walk(va)
    if (phys !== undefined) yield { virtual, physical: BigInt(phys) }
    else if (reason === 'excluded' || reason === 'missing') yield { virtual, unknown: true }
    else if (file !== '') yield { virtual, file, offset: first + BigInt(va - start) }
    else yield { virtual }
  }
}

function pageLine({ virtual, physical, file, offset, unknown }: VmPageJson): string {
  const at = `${hex(virtual).padEnd(USER_WIDTH)}  `
  if (physical !== undefined) return at + hex(physical).padStart('PHYSICAL'.length)
  if (unknown === true) return `${at}(page table not in the dump)`
  return at + (file === undefined ? '(not mapped)' : `FILE: ${file}  OFFSET: ${hex(offset ?? 0n)}`)
}
