/** The last line: a prompt, a message, or the keys that matter most; and the candidates of a search above it. */

import { clean, line, pad, restyle, span, type Line } from './cell.ts'
import type { Dump } from './dump.ts'
import { shownKeys, type Action } from './keymap.ts'
import type { Size } from './layout.ts'
import type { State } from './state.ts'
import type { Signs } from './theme.ts'

const LABELS = { filter: '/', goto: 'go to: ', command: 'crash> ', cast: 'as type: ' } as const

export function statusView(state: State, signs: Signs): Line {
  if (state.prompt !== undefined) {
    const { kind, text } = state.prompt
    const note = state.message === '' ? '' : `   ${state.message}`
    return [
      span(LABELS[kind], 'key'),
      span(clean(text, signs.ascii)),
      span(' ', 'cursor'),
      span(clean(note, signs.ascii), 'dim'),
    ]
  }
  if (state.message !== '') return [span(clean(` ${state.message}`, signs.ascii), 'text')]
  const hints: readonly (readonly [Action, string])[] = [
    ['follow', 'follow'],
    ['back', 'back'],
    ['nextPane', 'pane'],
    ['filter', 'filter'],
    ['goto', 'go to'],
    ['command', 'command'],
    ['help', 'help'],
    ['quit', 'quit'],
  ]
  return hints.flatMap(([action, what]) => {
    const [first = ''] = shownKeys(action).split(' ')
    return [span(` ${first}`, 'key'), span(` ${what} `, 'plain')]
  })
}

/** Rows of the list of candidates. */
export const searchHeight = ({ rows }: Size): number => Math.min(12, Math.floor(rows / 3))

/** What `go to` found so far, over the lower rows of the panes; undefined while it is not asked. */
export function searchView(state: State, dump: Dump): Line[] | undefined {
  if (state.prompt?.kind !== 'goto') return undefined
  const { text, chosen } = state.prompt
  const height = searchHeight(state.size)
  const { columns } = state.size
  if (text.trim() === '') {
    return [line(pad(' a name, pid, symbol, address, expression, or TYPE ADDRESS', columns), 'selected')]
  }
  const listing = dump.world(state.position).search(text)
  const first = Math.max(0, Math.min(chosen - height + 1, listing.known - height))
  const lines: Line[] = []
  for (let i = first; i < first + height; i++) {
    const found = listing.at(i)
    if (found === undefined) break
    const shown = line(pad(` ${clean(found.text, dump.ascii)}`, columns), 'selected')
    lines.push(i === chosen ? restyle(shown, 'cursor') : shown)
  }
  if (lines.length === 0)
    lines.push(line(pad(listing.done ? ' nothing found' : ' searching', columns), 'selected'))
  return lines
}
