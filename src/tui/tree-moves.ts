/** Moves within a structure: open in place, close, follow a pointer, go back. */

import { focused, placed } from './reducer.ts'
import type { Dump } from './dump.ts'
import { Selection } from './selection.ts'
import { OWN, type State } from './state.ts'
import type { Subject } from './subject.ts'
import { followed, parentIndex } from './tree.ts'

/** Open the selected member in place. */
export function openNode(state: State, dump: Dump): State {
  const selection = new Selection(state, dump)
  const place = selection.place()
  const node = selection.node()
  if (place === undefined || node?.opens === undefined) return state
  if (node.isOpen) return placed(state, { cursor: place.cursor + 1 })
  const opened = placed(state, { open: turned(place.open, node.path) })
  const found = new Selection(opened, dump).nodes()
  const inside = found[place.cursor + 1]
  if (inside !== undefined && inside.depth > node.depth) return opened
  return { ...state, message: 'it leads nowhere that can be shown as a type: t gives it one' }
}

function turned(open: ReadonlySet<string>, path: string): ReadonlySet<string> {
  const next = new Set(open)
  if (!next.delete(path)) next.add(path)
  return next
}

/** Close the selected member, or go to the one it lies in. */
export function closeNode(state: State, dump: Dump): State {
  const selection = new Selection(state, dump)
  const place = selection.place()
  const node = selection.node()
  if (place === undefined || node === undefined) return state
  if (node.isOpen) {
    return placed(state, { open: turned(place.open, node.path) })
  }
  const parent = parentIndex(selection.nodes(), place.cursor)
  return parent < 0 ? state : placed(state, { cursor: parent })
}

/** Enter on a member: a pointer becomes the structure shown, anything else opens or closes. */
export function followNode(state: State, dump: Dump): State {
  const selection = new Selection(state, dump)
  const node = selection.node()
  if (node === undefined) return state
  if (node.opens !== 'pointer') return node.isOpen ? closeNode(state, dump) : openNode(state, dump)
  const to = followed(selection.world.target, node)
  if (to === undefined) return { ...state, message: `${node.name} points nowhere` }
  return wentTo(state, to, dump)
}

/** Show another structure; Backspace leads back. */
export function wentTo(state: State, subject: Subject, dump: Dump): State {
  const from = new Selection(state, dump).place()
  const trail = state.trail.length > 0 ? state.trail : from === undefined ? [] : [from]
  const next = { ...OWN, subject }
  return { ...state, trail: [...trail, next], focus: 'tree', treeFilter: '', explainTop: 0, bytesTop: 0 }
}

/** Backspace: where the pointer was followed from; at the start back to the list. */
export function goBack(state: State, dump: Dump): State {
  const fresh = { ...state, treeFilter: '', explainTop: 0, bytesTop: 0 }
  if (state.trail.length > 1) {
    const trail = state.trail.slice(0, -1)
    const [first] = trail
    if (trail.length > 1 || first === undefined) return { ...fresh, trail }
    // the row's own structure again, as it was looked at
    const { subject, ...own } = first
    const bare = { ...fresh, trail: [], own }
    const ofRow = new Selection(bare, dump).place()?.subject
    return ofRow?.va === subject.va && ofRow.type === subject.type ? bare : { ...fresh, trail }
  }
  if (state.trail.length === 1) return { ...fresh, trail: [], own: OWN, focus: 'list' }
  return state.focus === 'files' ? focused(fresh, 'list') : { ...fresh, focus: state.source }
}
