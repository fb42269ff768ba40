/** What is selected: derived from the state and the snapshot looked at, never stored. */

import { hex, toAddr, type Va } from '../base/addr.ts'
import { isStruct, strip } from '../btf/type.ts'
import type { Dump } from './dump.ts'
import type { Row } from './row.ts'
import { listNameOf, type ListName, type Place, type State } from './state.ts'
import type { Subject } from './subject.ts'
import { extentOf, type Node } from './tree.ts'
import type { Rows, World } from './world.ts'

export class Selection {
  readonly state: State
  readonly world: World

  constructor(state: State, dump: Dump) {
    this.state = state
    this.world = dump.world(state.position)
  }

  rows(name: ListName): Rows {
    return this.world.rows(name, this.state.lists[name].filter, name === 'files' ? this.taskKey() : undefined)
  }

  /** Position of a list's selected row; -1 in an empty one. */
  cursor(name: ListName): number {
    const { listing } = this.rows(name)
    return Math.min(this.state.lists[name].cursor, listing.known - 1)
  }

  row(name: ListName): Row | undefined {
    return this.rows(name).row(this.cursor(name))
  }

  /** Key of the task whose files are shown. */
  taskKey(): string | undefined {
    if (this.#taskKey === null) this.#taskKey = this.row('tasks')?.key
    return this.#taskKey
  }
  #taskKey: string | undefined | null = null

  /** The list whose row is meant, when no pointer was followed. */
  get sourceName(): ListName {
    return this.state.source === 'files' && this.state.view === 'tasks' ? 'files' : this.state.view
  }

  /** The structure shown, and how. */
  place(): Place | undefined {
    const followed = this.state.trail.at(-1)
    if (followed !== undefined) return followed
    const subject = this.row(this.sourceName)?.subject
    return subject === undefined ? undefined : { ...this.state.own, subject }
  }

  /** Where the path began: the row's own structure. */
  crumbs(): readonly string[] {
    const { trail } = this.state
    if (trail.length > 0) return trail.map(({ subject }) => subject.label)
    const subject = this.place()?.subject
    return subject === undefined ? [] : [subject.label]
  }

  nodes(): readonly Node[] {
    const place = this.place()
    return place === undefined ? [] : this.world.nodes(place.subject, place.open, this.state.treeFilter)
  }

  node(): Node | undefined {
    const place = this.place()
    const nodes = this.nodes()
    return place === undefined ? undefined : nodes[Math.min(place.cursor, nodes.length - 1)]
  }

  /** The bytes meant: the selected member's while the tree is looked at, else the whole structure's. */
  extent(): { readonly va: Va; readonly size: number } | undefined {
    const place = this.place()
    if (place === undefined) return undefined
    const node = this.node()
    if (node !== undefined) return extentOf(node)
    return { va: place.subject.va, size: 1 }
  }

  /** What `y` copies: the address looked at. */
  address(): string | undefined {
    const inTree = this.state.focus === 'tree' || this.state.focus === 'bytes'
    const va = inTree ? this.extent()?.va : (this.row(this.#listName())?.subject?.va ?? this.extent()?.va)
    return va === undefined || Number.isNaN(va) ? undefined : hex(toAddr(va))
  }

  /** What `Y` copies: a crash command that shows the same. */
  command(): string | undefined {
    const { focus } = this.state
    if (focus === 'list' || focus === 'files') return this.row(this.#listName())?.command
    const place = this.place()
    if (place === undefined) return undefined
    if (focus === 'bytes') {
      const { va, size } = this.extent() ?? { va: place.subject.va, size: 16 }
      return `rd -8 ${hex(toAddr(va))} ${size}`
    }
    return structCommand(place.subject, this.node())
  }

  #listName(): ListName {
    const { focus } = this.state
    return focus === 'list' || focus === 'files' ? listNameOf(this.state) : this.sourceName
  }
}

/** `struct sock.__sk_common.skc_daddr ffff888007a4e040`. */
function structCommand({ type, va }: Subject, node: Node | undefined): string | undefined {
  const plain = type === undefined ? undefined : strip(type)
  const at = hex(toAddr(Number.isNaN(va) ? 0 : va))
  if (plain === undefined || !isStruct(plain) || plain.name === '') return `rd ${at}`
  // anonymous members have no name to ask by; what lies behind a pointer is another struct
  const path = (node?.path ?? '').replace(/\.\(\d+\)/g, '').replace(/\[\d+\.\.\d+\]/g, '')
  if (path.includes('->') && node?.parent !== undefined && node.parent.type.name !== '') {
    return `struct ${node.parent.type.name}.${node.name} ${hex(toAddr(node.parent.va))}`
  }
  return `${plain.kind} ${plain.name}${path.includes('->') ? '' : path} ${at}`
}
