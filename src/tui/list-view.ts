/** Lists: only the rows that are seen are read; what changed since the snapshot before is marked. */

import { clean, line, plainText, restyle, span, type Line } from './cell.ts'
import type { Dump } from './dump.ts'
import type { Rect } from './layout.ts'
import type { Row } from './row.ts'
import type { Selection } from './selection.ts'
import { listNameOf, type ListName, type State } from './state.ts'
import type { World } from './world.ts'

const TITLES: Readonly<Record<ListName, string>> = {
  tasks: 'Tasks',
  files: 'Open files',
  sockets: 'Sockets',
  log: 'Log',
  modules: 'Modules',
  hooks: 'Hooks',
  timeline: 'Steps and snapshots',
  command: 'Command',
}

/** `Tasks 104`, with the filter where there is one. */
export function listTitle(selection: Selection, name: ListName): string {
  const { state } = selection
  if (name === 'command') {
    const { command, running } = state.output
    return command === ''
      ? 'Command: type : and a crash command'
      : `${running ? 'Running' : 'Output of'}: ${command}`
  }
  const { filter } = state.lists[name]
  const { listing } = selection.rows(name)
  const count = `${listing.known}${listing.done ? '' : '+'}`
  return `${TITLES[name]} ${count}${filter === '' ? '' : ` /${filter}`}`
}

export function listView(selection: Selection, dump: Dump, rect: Rect): Line[] {
  const { state } = selection
  const name = rect.pane === 'files' ? 'files' : state.view
  const height = rect.height - 1
  if (name === 'command') return outputLines(state, height, dump.ascii)
  const rows = selection.rows(name)
  const { top } = state.lists[name]
  const cursor = selection.cursor(name)
  const before = state.before === undefined || name === 'timeline' ? undefined : dump.world(state.before)
  const lines: Line[] = []
  for (let i = top; i < top + height; i++) {
    const row = rows.row(i)
    if (row === undefined) break
    const mark = markOf(selection, name, row, before)
    const isSelected = i === cursor
    const spans = [span(mark, 'changed'), ...row.spans]
    const focused = listNameOf(state) === name && (state.focus === 'list' || state.focus === 'files')
    lines.push(isSelected ? restyle(spans, focused ? 'cursor' : 'selected') : spans)
  }
  const { problem, done, known } = rows.listing
  if (problem !== undefined && lines.length < height)
    lines.push(line(`  ${clean(problem, dump.ascii)}`, 'error'))
  else if (lines.length === 0) lines.push(line(done ? emptyText(name, state) : '  searching', 'dim'))
  else if (!done && known < top + height) lines.push(line('  searching', 'dim'))
  return lines.slice(0, height)
}

function emptyText(name: ListName, state: State): string {
  if (state.lists[name].filter !== '') return '  nothing fits the filter'
  return {
    tasks: '  no tasks',
    files: '  no open files',
    sockets: '  no sockets',
    log: '  the log is empty',
    modules: '  no modules',
    hooks: '  no lists of hooks in this kernel',
    timeline: '  a vmcore is one moment',
    command: '',
  }[name]
}

/** `*` changed, `+` new, `>` the snapshot shown. */
function markOf(selection: Selection, name: ListName, row: Row, before: World | undefined): string {
  const { state } = selection
  if (name === 'timeline') {
    const shown = selection.world.target.snapshots[state.position]
    return shown !== undefined && row.key === `snapshot ${shown.step} ${shown.name}` ? '>' : ' '
  }
  if (before === undefined) return ' '
  const then = before.rowOf(name, row.key, name === 'files' ? selection.taskKey() : undefined)
  if (then === undefined) return '+'
  return plainText(then.spans) === plainText(row.spans) ? ' ' : '*'
}

function outputLines(state: State, height: number, ascii: boolean): Line[] {
  const { top } = state.lists.command
  return state.output.lines.slice(top, top + height).map((text) => line(clean(text, ascii)))
}
