import { addr, hex, toVa } from '../src/base/addr.ts'
import { UsageError } from '../src/base/errors.ts'
import { hexNumber } from '../src/crash/data-address.ts'
import { findSymbol } from '../src/crash/data-symbol.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import {
  hitsIn,
  LeftOut,
  kernelPages,
  physicalPages,
  stackPages,
  userPages,
  type KernelPart,
  type SearchRow,
  type Wanted,
} from '../src/crash/search-text.ts'
import { taskHeader } from '../src/crash/task-header.ts'
import { currentTask } from '../src/crash/task-words.ts'
import { evaluate } from '../src/helpers/expression.ts'
import type { SearchPage } from '../src/helpers/memory-search.ts'
import { task_table } from '../src/helpers/tasks.ts'
import type { Target } from '../src/target/target.ts'

/** Rows: {@link SearchRow} each. */
export default class Search extends DumpCommand {
  static override summary = 'find values or text in kernel, user or physical memory, or in stacks'
  static override synopsis = `search [-s start] [ -[kKV] | -u | -p | -t | -T ] [-e end | -l length] [-m mask]
         -[cwh] [value | (expression) | symbol | string] ...`
  static override examples = [
    'search -c second_page_of',
    'search -p deadbeefbaadf00d',
    'search -t ffff888003c1a000',
  ]
  static override crashFlags = {
    s: { kind: 'value', summary: 'start there' },
    e: { kind: 'value', summary: 'end before that' },
    l: { kind: 'value', summary: 'end so many bytes after the start' },
    k: { summary: 'all kernel memory; the default' },
    K: { summary: 'kernel memory but vmalloc and modules' },
    V: { summary: 'vmalloc and modules only' },
    u: { summary: "the current task's own memory" },
    p: { summary: 'physical memory' },
    t: { summary: 'the kernel stacks of all tasks' },
    T: { summary: 'the kernel stacks of the tasks that run' },
    m: { kind: 'value', summary: 'bits of the value that do not matter' },
    c: { summary: 'text instead of numbers' },
    w: { summary: 'numbers of 32 bits' },
    h: { summary: 'numbers of 16 bits' },
  } as const

  override show({ target, context, flags, words }: Invocation<typeof Search>): Report {
    if (words.length === 0) throw new Misuse()
    const spaces = [flags.k, flags.K, flags.V, flags.u, flags.p, flags.t, flags.T].filter((f) => f === true)
    if (spaces.length > 1) throw new UsageError('-k', 'only one of -k, -K, -V, -u, -p, -t and -T is possible')
    const size = flags.h === true ? 2 : flags.w === true ? 4 : target.wordSize
    const ignored = flags.m === undefined ? 0n : number(target, flags.m).value
    const range = rangeOf(target, flags)
    const wanted = words.map((word): Wanted => {
      if (flags.c === true) return { kind: 'text', text: Buffer.from(word, 'latin1') }
      const { value, label } = number(target, word)
      return {
        kind: 'word',
        size,
        value,
        mask: ~ignored,
        ...(label !== undefined && { label: `(${label})` }),
      }
    })
    if (flags.t === true || flags.T === true) return inStacks(target, wanted, flags.T === true)
    const rows: SearchRow[] = []
    const left = new LeftOut()
    const text = function* (): Generator<string> {
      for (const { row, line } of hitsIn(pages(), wanted, range)) {
        rows.push(row)
        yield line
      }
    }
    const pages = (): Iterable<SearchPage> => {
      const bounds = boundsOf(target, range)
      if (flags.p === true) return physicalPages(target, bounds, left)
      const isUser = flags.u === true || (spaces.length === 0 && range.start > 0n && bounds.start >= 0 && target.wordSize === 8) // prettier-ignore
      if (isUser) {
        const task = currentTask(target, context)
        return task === undefined ? [] : userPages(target, task, bounds, left)
      }
      const parts: KernelPart[] =
        flags.V === true ? ['vmalloc'] : flags.K === true ? ['unity', 'image'] : ['unity', 'vmalloc', 'image']
      return kernelPages(target, parts, bounds, left)
    }
    return searchReport(rows, text(), left)
  }
}

/** Nothing found is a failure, as grep has it. */
function searchReport(rows: readonly SearchRow[], text: Iterable<string>, left?: LeftOut): Report {
  return {
    rows,
    text,
    get failed() {
      return rows.length === 0
    },
    get remark() {
      return left?.remark
    },
  }
}

interface Range {
  readonly start: bigint
  readonly end: bigint
}

function rangeOf(
  target: Target,
  flags: { readonly s?: string; readonly e?: string; readonly l?: string },
): Range {
  const start = flags.s === undefined ? 0n : number(target, flags.s).value
  if (flags.e !== undefined && flags.l !== undefined)
    throw new UsageError('-l', '-e and -l are mutually exclusive')
  if (flags.e !== undefined) return { start, end: number(target, flags.e).value }
  return { start, end: flags.l === undefined ? 1n << 64n : start + number(target, flags.l).value }
}

/** The same as numbers; whole where nothing was said. @throws UsageError */
function boundsOf(target: Target, { start, end }: Range): { start: number; end: number } {
  const va = (at: bigint): number => {
    const found = toVa(at, target.wordSize)
    if (Number.isNaN(found)) throw new UsageError(hex(at), `invalid address: ${hex(at)}`)
    return found
  }
  return {
    start: start === 0n ? -Infinity : va(start),
    end: end >= 1n << BigInt(target.wordSize * 8) ? Infinity : va(end),
  }
}

/** A number, symbol or `(expression)`; the label is what a number's own digits do not say. @throws UsageError */
function number(target: Target, word: string): { value: bigint; label?: string } {
  const given = hexNumber(word)
  if (given !== undefined) return { value: given }
  if (word.startsWith('(')) return { value: addr(evaluate(target, word).integer()), label: word }
  const symbol = findSymbol(target, word)
  if (symbol === undefined) throw new UsageError(word, `invalid input: "${word}"`)
  return { value: addr(symbol.va), label: word }
}

function inStacks(target: Target, wanted: readonly Wanted[], active: boolean): Report {
  const table = task_table(target)
  const rows: SearchRow[] = []
  const text = function* (): Generator<string> {
    for (const task of table.tasks) {
      if (active && !table.isActive(task)) continue
      let any = false
      for (const { row, line } of hitsIn(stackPages(target, task), wanted)) {
        if (!any) yield taskHeader(task)
        any = true
        rows.push({ ...row, pid: task.pid })
        yield line
      }
      if (any) yield '\n'
    }
  }
  return searchReport(rows, text())
}
