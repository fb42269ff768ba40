/** The structure looked at: one member a row, with its value, and marks where its bytes changed. */

import { line, restyle, span, type Line } from './cell.ts'
import type { Dump } from './dump.ts'
import type { Rect } from './layout.ts'
import type { Selection } from './selection.ts'
import { attempt, subjectText } from './subject.ts'
import type { Signs } from './theme.ts'
import { extentOf, type Node } from './tree.ts'
import { nodeValue } from './value-text.ts'
import type { World } from './world.ts'

/** `file → socket → sk`, and what the last one is. */
export function treeTitle(selection: Selection, signs: Signs): string {
  const place = selection.place()
  if (place === undefined) return 'Structure'
  const path = selection.crumbs().join(` ${signs.arrow} `)
  const filter = selection.state.treeFilter
  return `${path}: ${subjectText(place.subject)}${filter === '' ? '' : ` /${filter}`}`
}

export function treeView(selection: Selection, dump: Dump, rect: Rect, signs: Signs): Line[] {
  const { state, world } = selection
  const place = selection.place()
  if (place === undefined) return [line('  nothing selected that lies in memory', 'dim')]
  if (place.subject.type === undefined) return [line('  bytes without a type: t shows them as one', 'dim')]
  const before = state.before === undefined ? undefined : dump.world(state.before)
  const nodes = selection.nodes()
  if (nodes.length === 0)
    return [line(state.treeFilter === '' ? '  no members' : '  no member has this name', 'dim')]
  const height = rect.height - 1
  return nodes.slice(place.top, place.top + height).map((node, i) => {
    const spans = world.clean(nodeLine(node, world, signs, isChanged(node, before)))
    if (place.top + i !== place.cursor) return spans
    return restyle(spans, state.focus === 'tree' ? 'cursor' : 'selected')
  })
}

function nodeLine(node: Node, world: World, signs: Signs, changed: boolean): Line {
  const sign =
    node.opens === undefined
      ? ' '
      : node.isOpen
        ? signs.opened
        : node.opens === 'pointer'
          ? signs.pointer
          : signs.closed
  const value = nodeValue(node, world.printOptions)
  return [
    span(changed ? '*' : ' ', 'changed'),
    span(`${'  '.repeat(node.depth)}${sign} `),
    span(node.name, 'name'),
    span(value.text === '' ? '' : ' = '),
    { ...value, style: changed ? 'changed' : value.style, text: value.text.replaceAll('\n', ' ') },
  ]
}

/** Do its bytes differ from those at the same address in the other snapshot? */
export function isChanged(node: Node, before: World | undefined): boolean {
  if (before === undefined) return false
  const { va, size } = extentOf(node)
  if (size > 1 << 20) return false
  const now = attempt(() => node.value.mem.read(va, size))
  const then = attempt(() => before.target.mem.read(va, size))
  if (now === undefined || then === undefined) return now !== then
  return Buffer.compare(now, then) !== 0
}
