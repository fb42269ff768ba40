/** All that the browser remembers between two keys; plain data, replaced and never changed. */

import type { Size } from './layout.ts'
import type { Subject } from './subject.ts'

export const VIEWS = ['tasks', 'sockets', 'log', 'modules', 'hooks', 'timeline', 'command'] as const
export type View = (typeof VIEWS)[number]
/** What has rows: the views' lists, and the open files of the task. */
export type ListName = View | 'files'
export type Pane = 'list' | 'files' | 'tree' | 'bytes' | 'explain'

/** Where one looks at in a list. */
export interface Position {
  /** the selected row; Infinity: the last, wherever that will be */
  readonly cursor: number
  /** the first row shown */
  readonly top: number
}

export interface ListState extends Position {
  readonly filter: string
}

/** A structure looked at: one of the places a pointer was followed to. */
export interface Place extends Position {
  readonly subject: Subject
  /** paths that were opened, or closed where they began open */
  readonly open: ReadonlySet<string>
}

export type PromptKind = 'filter' | 'goto' | 'command' | 'cast'

export interface Prompt {
  readonly kind: PromptKind
  readonly text: string
  /** of the candidates shown for `goto`, or of the history */
  readonly chosen: number
  /** of a filter: what stood there before */
  readonly before: string
}

export interface State {
  readonly size: Size
  readonly view: View
  readonly focus: Pane
  readonly zoomed: boolean
  readonly lists: Readonly<Record<ListName, ListState>>
  /** Places a pointer was followed from, and last the one shown; empty: what the list's row stands for. */
  readonly trail: readonly Place[]
  /** how the row's own structure is looked at, while `trail` is empty */
  readonly own: Omit<Place, 'subject'>
  readonly treeFilter: string
  /** the list whose row the tree shows */
  readonly source: 'list' | 'files'
  readonly explainTop: number
  /** rows the bytes are moved by, from where the member is seen */
  readonly bytesTop: number
  readonly prompt: Prompt | undefined
  readonly help: { readonly top: number } | undefined
  /** one line for the reader; gone with the next key */
  readonly message: string
  /** the snapshot shown, and the one shown before it; of a vmcore 0 and nothing */
  readonly position: number
  readonly before: number | undefined
  /** what the last command printed */
  readonly output: { readonly command: string; readonly lines: readonly string[]; readonly running: boolean }
  readonly history: readonly string[]
}

const START: Position = { cursor: 0, top: 0 }
const LIST: ListState = { ...START, filter: '' }
export const OWN: State['own'] = { ...START, open: new Set() }

export function initialState(size: Size, position = 0): State {
  return {
    size,
    view: 'tasks',
    focus: 'list',
    zoomed: false,
    lists: {
      tasks: LIST,
      files: LIST,
      sockets: LIST,
      log: LIST,
      modules: LIST,
      hooks: LIST,
      timeline: LIST,
      command: LIST,
    },
    trail: [],
    own: OWN,
    treeFilter: '',
    source: 'list',
    explainTop: 0,
    bytesTop: 0,
    prompt: undefined,
    help: undefined,
    message: '',
    position,
    before: undefined,
    output: { command: '', lines: [], running: false },
    history: [],
  }
}

/** The list the focused pane scrolls. */
export const listNameOf = (state: State): ListName => (state.focus === 'files' ? 'files' : state.view)
