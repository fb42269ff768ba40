/** Where the panes lie: a pure function of the terminal's size and of what is looked at. */

import type { Pane, View } from './state.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export const MINIMUM: Size = { columns: 80, rows: 24 }

export const isTooSmall = ({ columns, rows }: Size): boolean =>
  columns < MINIMUM.columns || rows < MINIMUM.rows

/** A pane: its title is the first of its rows. */
export interface Rect {
  readonly pane: Pane
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Rows above the panes: what is open, and the views. */
export const HEAD = 2

export interface Layout {
  readonly panes: readonly Rect[]
  /** column of the line between two panes side by side, and its rows */
  readonly divider: { readonly x: number; readonly y: number; readonly height: number } | undefined
  /** row of the timeline; undefined when there is none */
  readonly timeline: number | undefined
  readonly status: number
}

/** Panes a view has, in the order Tab goes through them. */
export function panesOf(view: View): readonly Pane[] {
  if (view === 'tasks') return ['list', 'files', 'tree', 'bytes', 'explain']
  if (view === 'command') return ['list']
  if (view === 'log' || view === 'timeline') return ['list', 'explain']
  return ['list', 'tree', 'bytes', 'explain']
}

export function layoutOf(size: Size, view: View, zoomed: Pane | undefined, hasTimeline: boolean): Layout {
  const { columns, rows } = size
  const status = rows - 1
  const timeline = hasTimeline ? rows - 2 : undefined
  const height = (timeline ?? status) - HEAD
  const rest = { timeline, status, divider: undefined }
  const whole = (pane: Pane, y: number, tall: number): Rect => ({
    pane,
    x: 0,
    y: HEAD + y,
    width: columns,
    height: tall,
  })
  if (zoomed !== undefined) return { ...rest, panes: [whole(zoomed, 0, height)] }
  const explain = rows < 30 ? 5 : 9
  const bytes = rows < 30 ? 4 : 7
  if (view === 'command') return { ...rest, panes: [whole('list', 0, height)] }
  if (view === 'log' || view === 'timeline') {
    return {
      ...rest,
      panes: [whole('list', 0, height - explain), whole('explain', height - explain, explain)],
    }
  }
  const top = height - explain - bytes
  const lower = [whole('bytes', top, bytes), whole('explain', top + bytes, explain)]
  if (view !== 'tasks') {
    const list = Math.max(4, Math.floor(top * 0.4))
    return { ...rest, panes: [whole('list', 0, list), whole('tree', list, top - list), ...lower] }
  }
  const left = Math.max(29, Math.min(52, Math.floor(columns * 0.38)))
  const tasks = Math.ceil(top * 0.55)
  const panes: Rect[] = [
    { pane: 'list', x: 0, y: HEAD, width: left, height: tasks },
    { pane: 'files', x: 0, y: HEAD + tasks, width: left, height: top - tasks },
    { pane: 'tree', x: left + 1, y: HEAD, width: columns - left - 1, height: top },
    ...lower,
  ]
  return { ...rest, panes, divider: { x: left, y: HEAD, height: top } }
}

/** The first row to show so that the selected one is seen, moving no more than needed. */
export function scrolled(top: number, cursor: number, height: number, count: number): number {
  const least = Math.max(0, Math.min(cursor, count - 1) - Math.max(0, height - 1))
  const most = Math.max(0, Math.min(cursor, Math.max(0, count - height)))
  return Math.max(least, Math.min(top, Math.max(most, least)))
}
