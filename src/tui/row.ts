/** A row of a list: what it says, what memory it stands for, and how to ask crash for the same. */

import type { Line } from './cell.ts'
import type { Subject } from './subject.ts'

export interface Row {
  /** tells it from all others of its list, in every snapshot */
  readonly key: string
  readonly spans: Line
  /** undefined where nothing lies behind it */
  readonly subject: Subject | undefined
  /** the crash command that shows the same; undefined when there is none */
  readonly command: string | undefined
}

/** A list of the browser: its entries are cheap, its rows are read from memory. */
export interface RowSource<E> {
  /** the index; `undefined` between entries where work was done without finding one */
  entries(): Iterable<E | undefined>
  /** Read one. Never throws for damage: the row says it. */
  row(entry: E): Row
  /** what a filter looks at; read only while one is set. Default: the row's text */
  words?(entry: E): string
  /** the entry of that key, without walking the list; default: it is walked */
  find?(key: string): E | undefined
}
