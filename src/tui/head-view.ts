/** The two lines on top: what is open, and the views there are. */

import { cut, span, textWidth, type Line } from './cell.ts'
import type { Dump } from './dump.ts'
import { utsname } from '../helpers/time.ts'
import { VIEWS, type State, type View } from './state.ts'
import { attempt } from './subject.ts'

export function headView(state: State, dump: Dump): Line {
  const { target } = dump.world(state.position)
  const release = (dump.release ??= attempt(() => utsname(target).release) ?? '')
  const snapshot = dump.snapshots[state.position]
  const before = state.before === undefined ? undefined : dump.snapshots[state.before]
  const when = snapshot === undefined ? target.container.format : `${snapshot.name} (step ${snapshot.step})`
  const compared = before === undefined ? '' : `  changed since ${before.name}`
  // where both do not fit, what changed matters more
  const kernel = compared === '' || state.size.columns >= 100 ? `${release}  ` : ''
  const name = cut(dump.name, Math.max(16, state.size.columns - 60))
  return [
    span(' coredrill ', 'active'),
    span(` ${name}  `, 'name'),
    span(kernel, 'dim'),
    span(when, 'title'),
    span(compared, 'changed'),
  ]
}

/** ` 1 tasks `: where each stands. */
function tabs(): { view: View; text: string; x: number }[] {
  let x = 0
  return VIEWS.map((view, i) => {
    const tab = { view, text: ` ${i + 1} ${view} `, x }
    x += textWidth(tab.text) + 1
    return tab
  })
}

export function tabsView(state: State): Line {
  return tabs().flatMap(({ view, text }) => [span(text, view === state.view ? 'active' : 'key'), span(' ')])
}

/** The view named at a column. */
export function tabAt(x: number): View | undefined {
  return tabs().find((tab) => x >= tab.x && x < tab.x + tab.text.length)?.view
}
