/** Clicks and the wheel: on a row, a view's name, a moment of the timeline. */

import type { Dump } from './dump.ts'
import { isTooSmall, layoutOf, type Rect } from './layout.ts'
import {
  act,
  focused,
  moved,
  placed,
  rowChanged,
  stay,
  timeMoved,
  viewed,
  withList,
  type Outcome,
} from './reducer.ts'
import { Selection } from './selection.ts'
import { listNameOf, type State } from './state.ts'
import { tabAt } from './head-view.ts'
import { momentAt } from './timeline-view.ts'

export type MouseAction = 'click' | 'wheelUp' | 'wheelDown'

const WHEEL_ROWS = 3

export function onMouse(
  state: State,
  { action, x, y }: { action: MouseAction; x: number; y: number },
  dump: Dump,
): Outcome {
  if (isTooSmall(state.size) || state.prompt !== undefined) return stay(state)
  if (state.help !== undefined) {
    if (action === 'click') return stay({ ...state, help: undefined })
    return stay({
      ...state,
      help: { top: Math.max(0, state.help.top + (action === 'wheelUp' ? -WHEEL_ROWS : WHEEL_ROWS)) },
    })
  }
  const layout = layoutOf(state.size, state.view, state.zoomed ? state.focus : undefined, dump.hasTimeline)
  const rect = layout.panes.find(
    (pane) => x >= pane.x && x < pane.x + pane.width && y >= pane.y && y < pane.y + pane.height,
  )
  if (rect !== undefined)
    return action === 'click' ? clicked(state, rect, y, dump) : wheeled(state, rect, action, dump)
  if (action !== 'click') return stay(state)
  if (y === 1) return stay(viewed(state, tabAt(x) ?? state.view))
  const position = y === layout.timeline ? momentAt(state, dump, x) : undefined
  return stay(position === undefined ? state : timeMoved(state, position, dump))
}

function wheeled(state: State, rect: Rect, action: MouseAction, dump: Dump): Outcome {
  const by = action === 'wheelUp' ? -WHEEL_ROWS : WHEEL_ROWS
  return stay({ ...moved({ ...state, focus: rect.pane }, by, dump) })
}

/** The first click selects, one on what is selected follows. */
function clicked(state: State, rect: Rect, y: number, dump: Dump): Outcome {
  const seen = focused(state, rect.pane)
  const row = y - rect.y - 1
  if (row < 0) return stay(seen)
  const selection = new Selection(seen, dump)
  if (rect.pane === 'list' || rect.pane === 'files') {
    const name = listNameOf(seen)
    const cursor = seen.lists[name].top + row
    if (name === 'command' || cursor >= selection.rows(name).listing.known) return stay(seen)
    if (state.focus === rect.pane && cursor === selection.cursor(name)) return act(seen, 'follow', dump)
    return stay(rowChanged(seen, withList(seen, name, { cursor }), name))
  }
  const place = selection.place()
  if (rect.pane !== 'tree' || place === undefined) return stay(seen)
  const cursor = place.top + row
  if (cursor >= selection.nodes().length) return stay(seen)
  if (state.focus === 'tree' && cursor === place.cursor) return act(seen, 'follow', dump)
  return stay({ ...placed(seen, { cursor }), explainTop: 0, bytesTop: 0 })
}
