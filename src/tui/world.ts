/** One snapshot as the browser sees it: its lists, its structures, and explanations that are worked out when there is time. */

import type { OpenFile } from '../helpers/fs.ts'
import type { Target } from '../target/target.ts'
import { symbolizer } from '../crash/data-print.ts'
import { isKernelAddress } from '../crash/data-address.ts'
import type { PrintOptions } from '../render/c-value.ts'
import { clean, line, plainText, type Line } from './cell.ts'
import { faultText } from './fault-text.ts'
import { Listing } from './listing.ts'
import { hookRows } from './hook-rows.ts'
import { fileRows, logRows, moduleRows, socketRows } from './object-rows.ts'
import { searchRows, type Found } from './search.ts'
import type { Row, RowSource } from './row.ts'
import type { Subject } from './subject.ts'
import type { ListName } from './state.ts'
import { taskKey, TaskRows, type TaskEntry } from './task-rows.ts'
import { momentRows } from './timeline.ts'
import { treeNodes, type Node } from './tree.ts'

/** How much of a source is looked at between two keys. */
const STEPS = 100
/** Of the index of tasks, which costs less. */
const INDEX_STEPS = 4000
/** Explanations kept. */
const KEPT = 64

/** Rows of one list, all or those a filter leaves. */
export interface Rows {
  readonly listing: Listing<unknown>
  row(index: number): Row | undefined
}

interface List {
  readonly source: RowSource<unknown>
  readonly all: Listing<unknown>
  filter: string
  filtered: Listing<unknown> | undefined
  /** positions by key, made when first asked for */
  keys: Map<string, number> | undefined
}

export class World {
  readonly target: Target
  /** columns beyond ASCII must be escaped */
  readonly ascii: boolean
  /** Something shown now is not complete: {@link work} goes on with it. */
  pending = false
  readonly #lists = new Map<string, List>()
  readonly #tasks: TaskRows
  readonly #explanations = new Map<string, readonly string[]>()
  #asked: { key: string; make: () => readonly string[] } | undefined
  #nodes: { subject: Subject; open: ReadonlySet<string>; filter: string; nodes: Node[] } | undefined
  #search: { query: string; listing: Listing<Found> } | undefined

  constructor(target: Target, ascii: boolean) {
    this.target = target
    this.ascii = ascii
    this.#tasks = new TaskRows(target)
  }

  /** @param task  key of the task whose files are meant, for `files` */
  rows(name: ListName, filter: string, task?: string): Rows {
    const list = this.#list(name, task)
    let listing = list.all
    if (filter !== '') {
      if (list.filtered === undefined || list.filter !== filter) {
        // one more letter leaves some of those the letters before left
        const among = list.filtered !== undefined && filter.startsWith(list.filter) ? list.filtered : list.all
        list.filter = filter
        list.filtered = among.filtered(matcher(list.source, filter))
      }
      listing = list.filtered
    }
    return {
      listing,
      row: (index) => {
        const entry = listing.at(index)
        return entry === undefined ? undefined : this.#cleaned(list.source.row(entry))
      },
    }
  }

  /** Look for rows up to `count`, a slice at a time; sets {@link pending} when there is more to do. */
  ensure(rows: Rows, name: ListName, filter: string, count: number): void {
    // tasks may be many, and what a filter leaves costs a look at each: those are found as far as they are seen
    const isLong = name === 'tasks' || filter !== ''
    const steps = filter === '' && name === 'tasks' ? INDEX_STEPS : STEPS
    if (!rows.listing.ensure(isLong ? count : Infinity, steps)) this.pending = true
  }

  /** The row of a key, wherever it stands; undefined when this snapshot has none. */
  rowOf(name: ListName, key: string, task?: string): Row | undefined {
    const { source, all } = this.#list(name, task)
    if (source.find !== undefined) {
      const entry = source.find(key)
      const row = entry === undefined ? undefined : source.row(entry)
      return row?.subject === undefined ? undefined : { ...this.#cleaned(row), key }
    }
    const index = this.indexOf(name, key, task)
    return index < 0 ? undefined : this.#cleaned(source.row(all.at(index)))
  }

  /** Where the row of a key stands in its list; -1 when nowhere. */
  indexOf(name: ListName, key: string, task?: string): number {
    const list = this.#list(name, task)
    if (name === 'tasks') return list.all.findIndex((entry) => taskKey(entry as TaskEntry) === key)
    return (list.keys ??= keysOf(list)).get(key) ?? -1
  }

  /** The entry behind a row: what its explanation is made of. */
  entry(name: ListName, filter: string, index: number, task?: string): unknown {
    return this.rows(name, filter, task).listing.at(index)
  }

  taskEntry(key: string): TaskEntry | undefined {
    return this.#tasks.find(key)
  }

  get tasks(): TaskRows {
    return this.#tasks
  }

  nodes(subject: Subject, open: ReadonlySet<string>, filter: string): readonly Node[] {
    const kept = this.#nodes
    if (
      kept?.subject.va === subject.va &&
      kept.subject.type === subject.type &&
      kept.open === open &&
      kept.filter === filter
    ) {
      return kept.nodes
    }
    const nodes = treeNodes(this.target, subject, open, filter)
    this.#nodes = { subject, open, filter, nodes }
    return nodes
  }

  search(query: string): Listing<Found> {
    if (this.#search?.query !== query) {
      this.#search = { query, listing: new Listing(searchRows(this, query)) }
    }
    return this.#search.listing
  }

  /** Look on for candidates, a slice at a time. */
  ensureFound(query: string, count: number): void {
    if (!this.search(query).ensure(count, STEPS)) this.pending = true
  }

  get printOptions(): PrintOptions {
    return (this.#printOptions ??= {
      symbolize: symbolizer(this.target),
      textAt: (address) => isKernelAddress(this.target, address),
    })
  }
  #printOptions: PrintOptions | undefined

  /** An explanation; undefined while nobody had time for it. */
  explanation(key: string, make: () => readonly string[]): readonly string[] | undefined {
    const found = this.#explanations.get(key)
    if (found === undefined) {
      this.#asked = { key, make }
      this.pending = true
    }
    return found
  }

  /** Work out what was asked for last. */
  work(): void {
    const asked = this.#asked
    this.#asked = undefined
    if (asked === undefined) return
    if (this.#explanations.size >= KEPT) this.#explanations.clear()
    this.#explanations.set(asked.key, carefully(asked.make))
  }

  #list(name: ListName, task: string | undefined): List {
    const key = name === 'files' ? `files of ${task ?? ''}` : name
    let list = this.#lists.get(key)
    if (list === undefined) {
      const source = this.#source(name, task) as RowSource<unknown>
      list = { source, all: new Listing(source.entries()), filter: '', filtered: undefined, keys: undefined }
      if (this.#lists.size > KEPT) this.#lists.clear()
      this.#lists.set(key, list)
    }
    return list
  }

  #source(name: ListName, task: string | undefined) {
    const { target } = this
    switch (name) {
      case 'tasks':
        return this.#tasks
      case 'files': {
        const entry = task === undefined ? undefined : this.#tasks.find(task)
        return fileRows(
          target,
          entry === undefined ? undefined : (this.#tasks.task(entry) ?? undefined),
        ) satisfies RowSource<OpenFile>
      }
      case 'sockets':
        return socketRows(target)
      case 'log':
        return logRows(target)
      case 'modules':
        return moduleRows(target)
      case 'hooks':
        return hookRows(target)
      case 'timeline':
        return momentRows(target)
      case 'command':
        return {
          entries: () => [],
          row: () => ({ key: '', spans: line(''), subject: undefined, command: undefined }),
        }
    }
  }

  #cleaned(row: Row): Row {
    return { ...row, spans: this.clean(row.spans) }
  }

  /** Spans with nothing in them that a terminal would obey. */
  clean(spans: Line): Line {
    return spans.map(({ text, style }) => ({ text: clean(text, this.ascii), style }))
  }
}

function keysOf({ source, all }: List): Map<string, number> {
  const keys = new Map<string, number>()
  for (let i = 0; ; i++) {
    all.ensure(i + 1)
    const entry = all.at(i)
    if (entry === undefined) return keys
    keys.set(source.row(entry).key, i)
  }
}

/** @returns does an entry have every word of the filter? Capitals do not matter. */
function matcher(source: RowSource<unknown>, filter: string): (entry: unknown) => boolean {
  const wanted = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  return (entry) => {
    const text = (source.words?.(entry) ?? plainText(source.row(entry).spans)).toLowerCase()
    return wanted.every((word) => text.includes(word))
  }
}

function carefully(make: () => readonly string[]): readonly string[] {
  try {
    return make()
  } catch (error) {
    return [faultText(error)]
  }
}
