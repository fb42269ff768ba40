/** The help: the table of keys, and what the marks mean. */

import { line, pad, span, type Line } from './cell.ts'
import { keymap } from './keymap.ts'

const MARKS: readonly (readonly [string, string])[] = [
  ['*', 'changed since the snapshot shown before'],
  ['+', 'not there in the snapshot shown before'],
  ['[name] (name)', 'on the timeline: the snapshot shown, and the one before'],
]

/** All its lines. */
export function helpLines(): Line[] {
  const lines: Line[] = []
  for (const { title, bindings } of keymap) {
    lines.push(line(` ${title}`, 'title'))
    for (const { shown, help } of bindings) lines.push([span(`   ${pad(shown, 16)} `, 'key'), span(help)])
  }
  lines.push(line(' Marks', 'title'))
  for (const [mark, meaning] of MARKS) lines.push([span(`   ${pad(mark, 16)} `, 'changed'), span(meaning)])
  lines.push(line(' The mouse', 'title'))
  lines.push(
    line('   a click selects, a second one follows, the wheel scrolls; views and snapshots can be clicked'),
  )
  return lines
}

export function helpView(top: number, height: number): Line[] {
  const lines = helpLines()
  const first = Math.max(0, Math.min(top, lines.length - height))
  return lines.slice(first, first + height)
}
