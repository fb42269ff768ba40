/** The bytes of the structure in hex, the selected member's highlighted, those that changed marked. */

import { hex, toAddr, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import { asciiText } from '../render/hexdump.ts'
import { span, type Line, type Span, type Style } from './cell.ts'
import type { Dump } from './dump.ts'
import { faultText } from './fault-text.ts'
import type { Rect } from './layout.ts'
import type { Selection } from './selection.ts'
import type { World } from './world.ts'

const PER_LINE = 16

export function bytesTitle(selection: Selection): string {
  const extent = selection.extent()
  const node = selection.node()
  if (extent === undefined || Number.isNaN(extent.va)) return 'Bytes'
  return `Bytes ${node?.name ?? ''} ${hex(toAddr(extent.va))} +${extent.size}`
}

/** Lines of sixteen bytes from the one the member begins in, moved by what the pane was scrolled. */
export function bytesView(selection: Selection, dump: Dump, rect: Rect): Line[] {
  const extent = selection.extent()
  const { state, world } = selection
  if (extent === undefined || Number.isNaN(extent.va)) return []
  const before = state.before === undefined ? undefined : dump.world(state.before)
  const height = rect.height - 1
  const into = ((extent.va % PER_LINE) + PER_LINE) % PER_LINE
  const lines = Math.ceil((into + extent.size) / PER_LINE)
  // a member of few lines has a line of its surroundings above it
  const lead = lines < height - 1 ? 1 : 0
  const first = extent.va - into + (state.bytesTop - lead) * PER_LINE
  return Array.from({ length: height }, (_, i) => byteLine(world, before, first + i * PER_LINE, extent))
}

function byteLine(world: World, before: World | undefined, va: Va, extent: { va: Va; size: number }): Line {
  const head = `${hex(toAddr(va)).padStart(world.target.wordSize * 2)}  `
  const now = bytesAt(world, va)
  if (!(now instanceof Uint8Array)) return [span(` ${head}`, 'address'), span(now, 'error')]
  const then = before === undefined ? undefined : bytesAt(before, va)
  const styles = Array.from(now, (byte, i): Style => {
    if (va + i >= extent.va && va + i < extent.va + extent.size) return 'cursor'
    return then !== undefined && (!(then instanceof Uint8Array) || then[i] !== byte) ? 'changed' : 'plain'
  })
  const differs = then !== undefined && (!(then instanceof Uint8Array) || Buffer.compare(now, then) !== 0)
  const text = asciiText(now)
  return [
    span(differs ? '*' : ' ', 'changed'),
    span(head, 'address'),
    ...joined(
      [...now].flatMap((byte, i) => [span(byte.toString(16).padStart(2, '0'), styles[i]), gap(styles, i)]),
    ),
    span(' '),
    ...joined(Array.from(text, (char, i) => span(char, styles[i]))),
  ]
}

/** Eight and eight; blanks between bytes of one style belong to it. */
function gap(styles: readonly Style[], i: number): Span {
  const style = styles[i] === styles[i + 1] ? styles[i] : 'plain'
  return span(i === PER_LINE - 1 ? '' : i === 7 ? '  ' : ' ', style)
}

/** Neighbours of one style as one span. */
function joined(spans: readonly Span[]): Span[] {
  const found: Span[] = []
  for (const { text, style } of spans) {
    const last = found.at(-1)
    if (last?.style === style) found[found.length - 1] = { text: last.text + text, style }
    else found.push({ text, style })
  }
  return found
}

function bytesAt(world: World, va: Va): Uint8Array | string {
  try {
    return world.target.mem.read(va, PER_LINE)
  } catch (error) {
    if (error instanceof FaultError) return faultText(error)
    throw error
  }
}
