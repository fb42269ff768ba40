/** After every change: read the rows that are seen, keep selections within their lists and on the screen. */

import type { Dump } from './dump.ts'
import { layoutOf, scrolled } from './layout.ts'
import { questionOf } from './explanation.ts'
import { Selection } from './selection.ts'
import { searchHeight } from './prompt-view.ts'
import type { ListName, State } from './state.ts'

export function settled(state: State, dump: Dump): State {
  const world = dump.world(state.position)
  world.pending = false
  let next = state
  const zoomed = state.zoomed ? state.focus : undefined
  const { panes } = layoutOf(state.size, state.view, zoomed, dump.hasTimeline)
  for (const { pane, height } of panes) {
    if (pane === 'list') next = settledList(next, dump, state.view, height - 1)
    // whose files they are must be known first, so the task's row was settled before
    if (pane === 'files') next = settledList(next, dump, 'files', height - 1)
    if (pane === 'tree') next = settledTree(next, dump, height - 1)
  }
  if (state.prompt?.kind === 'goto') world.ensureFound(state.prompt.text, searchHeight(state.size))
  // on the way to the last row of a long list no row stays selected
  if (next.lists[next.view].cursor === Infinity) return next
  const question = questionOf(new Selection(next, dump))
  if (question !== undefined) world.explanation(question.key, question.answer)
  return next
}

function settledList(state: State, dump: Dump, name: ListName, height: number): State {
  const selection = new Selection(state, dump)
  const { cursor, top, filter } = state.lists[name]
  const count =
    name === 'command' ? state.output.lines.length : ensured(selection, name, filter, cursor, top, height)
  const known = name === 'command' || selection.rows(name).listing.done || cursor !== Infinity
  const within = Math.max(0, Math.min(cursor, count - 1))
  // a text scrolls line by line, a list by its selection
  const first =
    name === 'command' ? Math.max(0, Math.min(cursor, count - height)) : scrolled(top, within, height, count)
  const kept = known ? (name === 'command' ? first : within) : Infinity
  if (kept === cursor && first === top) return state
  return { ...state, lists: { ...state.lists, [name]: { cursor: kept, top: first, filter } } }
}

/** @returns how many rows are known */
function ensured(
  selection: Selection,
  name: ListName,
  filter: string,
  cursor: number,
  top: number,
  height: number,
): number {
  const rows = selection.rows(name)
  selection.world.ensure(
    rows,
    name,
    filter,
    cursor === Infinity ? Infinity : Math.max(cursor, top + height) + 1,
  )
  return rows.listing.known
}

function settledTree(state: State, dump: Dump, height: number): State {
  const selection = new Selection(state, dump)
  const place = selection.place()
  if (place === undefined) return state
  const count = selection.nodes().length
  const cursor = Math.max(0, Math.min(place.cursor, count - 1))
  const top = scrolled(place.top, cursor, height, count)
  if (cursor === place.cursor && top === place.top) return state
  const last = state.trail.at(-1)
  if (last === undefined) return { ...state, own: { ...state.own, cursor, top } }
  return { ...state, trail: [...state.trail.slice(0, -1), { ...last, cursor, top }] }
}
