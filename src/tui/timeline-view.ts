/** The line of snapshots, with the steps between them counted; the one shown stands in brackets. */

import { clean, span, textWidth, type Line, type Span } from './cell.ts'
import type { Dump } from './dump.ts'
import type { State } from './state.ts'

interface Mark {
  readonly position: number
  readonly spans: readonly Span[]
  readonly width: number
}

const LABEL = ' time '

function marks(state: State, dump: Dump): Mark[] {
  const sign = dump.ascii ? '-' : '─'
  return dump.snapshots.map(({ name, step }, position) => {
    const previous = dump.snapshots[position - 1]
    const steps = previous === undefined ? step : step - previous.step
    const between = previous === undefined ? '' : `${sign}${steps}${sign}`
    const shown = clean(name, dump.ascii)
    const text =
      position === state.position ? `[${shown}]` : position === state.before ? `(${shown})` : ` ${shown} `
    const spans = [
      span(between, 'dim'),
      span(text, position === state.position ? 'cursor' : position === state.before ? 'changed' : 'plain'),
    ]
    return { position, spans, width: textWidth(between) + textWidth(text) }
  })
}

/** Those that fit, the shown one among them, and where the first begins. */
function visible(state: State, dump: Dump): { x: number; marks: readonly Mark[] } {
  const all = marks(state, dump)
  const room = state.size.columns - LABEL.length - 4
  let from = state.position
  let to = state.position + 1
  let used = all[state.position]?.width ?? 0
  for (let grew = true; grew;) {
    grew = false
    const left = all[from - 1]
    if (left !== undefined && used + left.width <= room)
      [from, used, grew] = [from - 1, used + left.width, true]
    const right = all[to]
    if (right !== undefined && used + right.width <= room)
      [to, used, grew] = [to + 1, used + right.width, true]
  }
  return { x: LABEL.length + 2, marks: all.slice(from, to) }
}

export function timelineView(state: State, dump: Dump): Line {
  const seen = visible(state, dump).marks
  const first = seen[0]?.position ?? 0
  const last = seen.at(-1)?.position ?? 0
  return [
    span(LABEL, 'title'),
    span(first > 0 ? '<<' : '  ', 'key'),
    ...seen.flatMap(({ spans }) => spans),
    span(last < dump.snapshots.length - 1 ? '>>' : '', 'key'),
  ]
}

/** The snapshot named at a column. */
export function momentAt(state: State, dump: Dump, x: number): number | undefined {
  const { x: start, marks: seen } = visible(state, dump)
  let at = start
  for (const { position, width } of seen) {
    if (x >= at && x < at + width) return position
    at += width
  }
  return undefined
}
