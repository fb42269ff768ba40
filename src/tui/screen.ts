/** The whole screen as lines: a pure function of the state and the dump. */

import { bytesTitle, bytesView } from './bytes-view.ts'
import { clean, fit, fold, line, restyle, span, textWidth, type Line } from './cell.ts'
import type { Dump } from './dump.ts'
import { questionOf } from './explanation.ts'
import { headView, tabsView } from './head-view.ts'
import { helpLines, helpView } from './help-view.ts'
import { HEAD, isTooSmall, layoutOf, MINIMUM, type Rect } from './layout.ts'
import { listTitle, listView } from './list-view.ts'
import { searchView, statusView } from './prompt-view.ts'
import { Selection } from './selection.ts'
import type { State } from './state.ts'
import { signsOf, type Signs } from './theme.ts'
import { timelineView } from './timeline-view.ts'
import { treeTitle, treeView } from './tree-view.ts'

/** The lines of the screen, each exactly as wide as the terminal. */
export function screenLines(state: State, dump: Dump): Line[] {
  const { columns, rows } = state.size
  if (isTooSmall(state.size)) return tooSmall(columns, rows)
  const signs = signsOf(dump.ascii)
  const selection = new Selection(state, dump)
  const layout = layoutOf(state.size, state.view, state.zoomed ? state.focus : undefined, dump.hasTimeline)
  const canvas: Line[] = Array.from({ length: rows }, () => [])
  canvas[0] = fit(selection.world.clean(headView(state, dump)), columns)
  canvas[1] = fit(tabsView(state), columns)
  if (state.help === undefined) {
    for (const rect of layout.panes) {
      const lines = paneLines(selection, dump, rect, signs)
      lines.forEach((own, i) => (canvas[rect.y + i] = [...(canvas[rect.y + i] ?? []), ...own]))
      const { divider } = layout
      if (divider?.x !== rect.x + rect.width) continue
      for (let i = 0; i < rect.height; i++)
        canvas[rect.y + i] = [...(canvas[rect.y + i] ?? []), span(signs.vertical, 'dim')]
    }
  } else {
    const height = (layout.timeline ?? layout.status) - HEAD
    const title = titleLine(
      `Help: ${helpLines().length} lines, any other key closes it`,
      columns,
      true,
      signs,
    )
    const body = [title, ...helpView(state.help.top, height - 1)]
    body.forEach((own, i) => (canvas[HEAD + i] = own))
  }
  if (layout.timeline !== undefined) canvas[layout.timeline] = timelineView(state, dump)
  canvas[layout.status] = statusView(state, signs)
  const found = searchView(state, dump)
  found?.forEach((own, i) => (canvas[layout.status - found.length + i] = own))
  return canvas.map((own) => fit(own, columns))
}

function tooSmall(columns: number, rows: number): Line[] {
  const text = `The browser needs ${MINIMUM.columns}x${MINIMUM.rows}; this terminal has ${columns}x${rows}. q leaves.`
  const lines = fold(text, Math.max(8, columns))
  return Array.from({ length: rows }, (_, i) => fit(line(lines[i] ?? ''), columns))
}

/** A pane's title and rows, filled to its size. */
function paneLines(selection: Selection, dump: Dump, rect: Rect, signs: Signs): Line[] {
  const { state } = selection
  const title = titleLine(
    clean(titleOf(selection, rect, signs), signs.ascii),
    rect.width,
    state.focus === rect.pane,
    signs,
  )
  const body = bodyOf(selection, dump, rect, signs)
  return Array.from({ length: rect.height }, (_, i) => {
    if (i === 0) return title
    const own = body[i - 1] ?? []
    const isCursor = own.length > 0 && own.every(({ style }) => style === 'cursor' || style === 'selected')
    return fit(own, rect.width, isCursor ? own[0]?.style : 'plain')
  })
}

function titleOf(selection: Selection, rect: Rect, signs: Signs): string {
  switch (rect.pane) {
    case 'list':
      return listTitle(selection, selection.state.view)
    case 'files':
      return listTitle(selection, 'files')
    case 'tree':
      return treeTitle(selection, signs)
    case 'bytes':
      return bytesTitle(selection)
    case 'explain':
      return 'What it is'
  }
}

function bodyOf(selection: Selection, dump: Dump, rect: Rect, signs: Signs): Line[] {
  switch (rect.pane) {
    case 'list':
    case 'files':
      return listView(selection, dump, rect)
    case 'tree':
      return treeView(selection, dump, rect, signs)
    case 'bytes':
      return bytesView(selection, dump, rect)
    case 'explain':
      return explainView(selection, rect, signs)
  }
}

function explainView(selection: Selection, rect: Rect, signs: Signs): Line[] {
  const question = questionOf(selection)
  if (question === undefined) return []
  const answer = selection.world.explanation(question.key, question.answer)
  if (answer === undefined) return [line(` ${signs.more}`, 'dim')]
  const lines = answer.flatMap((text) => fold(clean(text, signs.ascii), rect.width - 2))
  const height = rect.height - 1
  const top = Math.max(0, Math.min(selection.state.explainTop, lines.length - height))
  return lines.slice(top, top + height).map((text) => line(` ${text}`))
}

function titleLine(text: string, width: number, focused: boolean, signs: Signs): Line {
  const named = ` ${text} `
  const rest = Math.max(0, width - textWidth(named) - 1)
  const title: Line = [
    span(signs.horizontal, 'dim'),
    span(named, 'title'),
    span(signs.horizontal.repeat(rest), 'dim'),
  ]
  return fit(
    focused ? [title[0] ?? span(''), ...restyle(title.slice(1, 2), 'active'), ...title.slice(2)] : title,
    width,
  )
}
