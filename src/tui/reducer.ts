/** From one state to the next: a pure function of the state, what happened, and the dump. */

import { actionOf, type Action } from './keymap.ts'
import type { Dump } from './dump.ts'
import { isTooSmall, layoutOf, panesOf, type Rect, type Size } from './layout.ts'
import { onMouse, type MouseAction } from './mouse.ts'
import { openPrompt, promptKey } from './prompt.ts'
import { Selection } from './selection.ts'
import { settled } from './settle.ts'
import {
  listNameOf,
  OWN,
  VIEWS,
  type ListName,
  type Pane,
  type Position,
  type State,
  type View,
} from './state.ts'
import { closeNode, followNode, goBack, openNode } from './tree-moves.ts'
import type { Moment } from './timeline.ts'

export type Happening =
  | { readonly type: 'key'; readonly name: string; readonly ch: string | undefined }
  | { readonly type: 'mouse'; readonly action: MouseAction; readonly x: number; readonly y: number }
  | { readonly type: 'resize'; readonly size: Size }
  /** a command began, printed, or ended */
  | {
      readonly type: 'output'
      readonly command: string
      readonly lines: readonly string[]
      readonly running: boolean
    }
  /** Tab in the command line: what the line becomes */
  | { readonly type: 'completed'; readonly text: string; readonly choices: readonly string[] }
  /** there is time to read on */
  | { readonly type: 'tick' }

export type Effect =
  | { readonly type: 'quit' | 'suspend' | 'redraw' | 'interrupt' }
  | { readonly type: 'copy' | 'run' | 'complete'; readonly text: string }

export interface Outcome {
  readonly state: State
  readonly effects: readonly Effect[]
}

export const stay = (state: State): Outcome => ({ state, effects: [] })
export const withEffect = (state: State, effect: Effect): Outcome => ({ state, effects: [effect] })

/** What happens next. */
export function reduce(state: State, happening: Happening, dump: Dump): Outcome {
  const { state: next, effects } = react(state, happening, dump)
  return { state: isTooSmall(next.size) ? next : settled(next, dump), effects }
}

function react(state: State, happening: Happening, dump: Dump): Outcome {
  switch (happening.type) {
    case 'resize':
      return stay({ ...state, size: happening.size })
    case 'tick':
      dump.world(state.position).work()
      return stay(state)
    case 'output': {
      const { command, lines, running } = happening
      const list = { cursor: 0, top: 0, filter: '' }
      const lists =
        command === state.output.command && state.output.running
          ? state.lists
          : { ...state.lists, command: list }
      return stay({ ...state, lists, output: { command, lines, running } })
    }
    case 'completed': {
      const { text, choices } = happening
      const message = choices.length > 1 ? choices.slice(0, 12).join('  ') : ''
      return state.prompt?.kind === 'command'
        ? stay({ ...state, message, prompt: { ...state.prompt, text } })
        : stay(state)
    }
    case 'mouse':
      return onMouse({ ...state, message: '' }, happening, dump)
    case 'key':
      return onKey({ ...state, message: '' }, happening.name, happening.ch, dump)
  }
}

function onKey(state: State, name: string, ch: string | undefined, dump: Dump): Outcome {
  if (isTooSmall(state.size)) {
    const action = actionOf(name)
    return action === 'quit' || action === 'suspend' ? act(state, action, dump) : stay(state)
  }
  if (name === 'C-c' && state.output.running) return withEffect(state, { type: 'interrupt' })
  if (state.prompt !== undefined) return promptKey(state, name, ch, dump)
  const action = actionOf(name)
  if (state.help !== undefined) return helpKey(state, state.help.top, action)
  return action === undefined ? stay(state) : act(state, action, dump)
}

function helpKey(state: State, top: number, action: Action | undefined): Outcome {
  const page = Math.max(1, state.size.rows - 4)
  const moves: Partial<Record<Action, number>> = { up: -1, down: 1, pageUp: -page, pageDown: page }
  const by = action === undefined ? undefined : moves[action]
  if (by !== undefined) return stay({ ...state, help: { top: Math.max(0, top + by) } })
  if (action === 'quit') return stay({ ...state, help: undefined })
  return stay({ ...state, help: undefined })
}

/** Do what a key means outside prompts. */
export function act(state: State, action: Action, dump: Dump): Outcome {
  switch (action) {
    case 'quit':
    case 'suspend':
    case 'redraw':
      return withEffect(state, { type: action })
    case 'help':
      return stay({ ...state, help: { top: 0 } })
    case 'up':
      return stay(moved(state, -1, dump))
    case 'down':
      return stay(moved(state, 1, dump))
    case 'pageUp':
      return stay(moved(state, -pageOf(state, dump), dump))
    case 'pageDown':
      return stay(moved(state, pageOf(state, dump), dump))
    case 'first':
      return stay(moved(state, -Infinity, dump))
    case 'last':
      return stay(moved(state, Infinity, dump))
    case 'nextPane':
      return stay(focused(state, nextPane(state, 1)))
    case 'previousPane':
      return stay(focused(state, nextPane(state, -1)))
    case 'zoom':
      return stay({ ...state, zoomed: !state.zoomed })
    case 'earlier':
      return stay(timeMoved(state, state.position - 1, dump))
    case 'later':
      return stay(timeMoved(state, state.position + 1, dump))
    case 'filter':
    case 'goto':
    case 'command':
    case 'cast':
      return stay(openPrompt(state, action))
    case 'clear':
      return stay(cleared(state))
    case 'copyAddress':
    case 'copyCommand':
      return copied(state, action, dump)
    case 'follow':
      return stay(follow(state, dump))
    case 'back':
      return stay(goBack(state, dump))
    case 'open':
      return stay(state.focus === 'tree' ? openNode(state, dump) : intoTree(state, dump))
    case 'close':
      return stay(state.focus === 'tree' ? closeNode(state, dump) : state)
    default:
      return stay(viewed(state, VIEWS[Number(action.slice(4)) - 1] ?? state.view))
  }
}

/** Enter: what that means depends on where one is. */
function follow(state: State, dump: Dump): State {
  if (state.focus === 'tree') return followNode(state, dump)
  const selection = new Selection(state, dump)
  if (state.view === 'timeline' && state.focus === 'list') {
    const moment = selection.rows('timeline').listing.at(selection.cursor('timeline')) as Moment | undefined
    if (moment?.position === undefined) return { ...state, message: 'no snapshot was taken after this step' }
    return timeMoved(state, moment.position, dump)
  }
  if (state.view === 'tasks' && state.focus === 'list') return focused(state, 'files')
  return intoTree(state, dump)
}

function intoTree(state: State, dump: Dump): State {
  if (!panesOf(state.view).includes('tree')) return state
  return new Selection(state, dump).place() === undefined ? state : focused(state, 'tree')
}

function cleared(state: State): State {
  if (state.zoomed) return { ...state, zoomed: false }
  if (state.focus === 'tree') return { ...state, treeFilter: '' }
  return withList(state, listNameOf(state), { filter: '', cursor: 0, top: 0 })
}

function copied(state: State, action: 'copyAddress' | 'copyCommand', dump: Dump): Outcome {
  const selection = new Selection(state, dump)
  const text = action === 'copyAddress' ? selection.address() : selection.command()
  if (text === undefined) return stay({ ...state, message: 'nothing here has an address' })
  return withEffect({ ...state, message: `copied: ${text}` }, { type: 'copy', text })
}

// -- panes and views -------------------------------------------------------------------------------------------------

/** Look at a pane. Lists of the left decide what the tree shows as soon as they are looked at. */
export function focused(state: State, pane: Pane): State {
  if (pane !== 'list' && pane !== 'files') return { ...state, focus: pane }
  if (state.source === pane) return { ...state, focus: pane }
  return {
    ...state,
    focus: pane,
    source: pane,
    trail: [],
    own: OWN,
    treeFilter: '',
    explainTop: 0,
    bytesTop: 0,
  }
}

function nextPane(state: State, by: 1 | -1): Pane {
  const panes = panesOf(state.view)
  const at = panes.indexOf(state.focus)
  return panes[(at + by + panes.length) % panes.length] ?? 'list'
}

export function viewed(state: State, view: View): State {
  if (state.view === view) return state
  return {
    ...state,
    view,
    focus: 'list',
    source: 'list',
    trail: [],
    own: OWN,
    treeFilter: '',
    explainTop: 0,
    bytesTop: 0,
  }
}

export function withList(state: State, name: ListName, change: Partial<State['lists'][ListName]>): State {
  return { ...state, lists: { ...state.lists, [name]: { ...state.lists[name], ...change } } }
}

/** Another snapshot: every pane follows; the selected row stays the same thing where there is one. */
export function timeMoved(state: State, position: number, dump: Dump): State {
  if (!dump.hasTimeline)
    return { ...state, message: 'a vmcore is one moment: only recorded dumps have others' }
  if (position < 0 || position >= dump.snapshots.length) {
    return { ...state, message: position < 0 ? 'this is the first snapshot' : 'this is the last snapshot' }
  }
  if (position === state.position) return state
  const before = new Selection(state, dump)
  let next: State = { ...state, position, before: state.position }
  for (const name of ['tasks', 'sockets', 'modules', 'hooks', 'log'] as const) {
    if (name !== 'tasks' && name !== state.view) continue
    const key = before.row(name)?.key
    const index = key === undefined ? -1 : dump.world(position).indexOf(name, key)
    if (index >= 0 && state.lists[name].filter === '') next = withList(next, name, { cursor: index })
  }
  return next
}

// -- moving ----------------------------------------------------------------------------------------------------------

export function rectOf(state: State, pane: Pane, dump: Dump): Rect | undefined {
  const zoomed = state.zoomed ? state.focus : undefined
  return layoutOf(state.size, state.view, zoomed, dump.hasTimeline).panes.find((rect) => rect.pane === pane)
}

const pageOf = (state: State, dump: Dump): number =>
  Math.max(1, (rectOf(state, state.focus, dump)?.height ?? 2) - 2)

/** Move the focused pane's selection, or its text. */
export function moved(state: State, by: number, dump: Dump): State {
  const selection = new Selection(state, dump)
  switch (state.focus) {
    case 'list':
    case 'files': {
      const name = listNameOf(state)
      const { cursor } = state.lists[name]
      const from = cursor === Infinity ? selection.cursor(name) : cursor
      // the last row of a list that is still read: the end is not known yet
      const next = withList(state, name, { cursor: Math.max(0, by === -Infinity ? 0 : from + by) })
      return rowChanged(state, next, name)
    }
    case 'tree': {
      const place = selection.place()
      if (place === undefined) return state
      const count = selection.nodes().length
      const cursor = Math.max(0, Math.min(count - 1, place.cursor + by))
      return { ...placed(state, { cursor }), explainTop: 0, bytesTop: 0 }
    }
    case 'bytes':
      return {
        ...state,
        bytesTop: Math.max(
          -10_000,
          Math.min(10_000, by === -Infinity ? 0 : by === Infinity ? state.bytesTop : state.bytesTop + by),
        ),
      }
    case 'explain':
      return { ...state, explainTop: Math.max(0, Math.min(100_000, state.explainTop + by)) }
  }
}

/** Another row: the tree starts anew, so do the files of another task. */
export function rowChanged(before: State, after: State, name: ListName): State {
  if (before.lists[name].cursor === after.lists[name].cursor) return after
  const fresh = { ...after, trail: [], own: OWN, treeFilter: '', explainTop: 0, bytesTop: 0 }
  return name === 'tasks' ? withList(fresh, 'files', { cursor: 0, top: 0, filter: '' }) : fresh
}

/** Change how the structure shown is looked at. */
export function placed(state: State, change: Partial<Position> & { open?: ReadonlySet<string> }): State {
  const last = state.trail.at(-1)
  if (last === undefined) return { ...state, own: { ...state.own, ...change } }
  return { ...state, trail: [...state.trail.slice(0, -1), { ...last, ...change }] }
}
