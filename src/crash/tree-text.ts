/** `tree`: the entries of a red-black tree, xarray, radix tree or maple tree, and members of the structs they are in. */

import { addr, hex } from '../base/addr.ts'
import { CoredrillError, UsageError } from '../base/errors.ts'
import { evaluate } from '../helpers/expression.ts'
import {
  has_maple_tree,
  maple_entries,
  rb_nodes,
  rb_nodes_in_order,
  slot_entries,
  slot_layout,
  TreeLoop,
  type TreeEntry,
} from '../helpers/tree-walk.ts'
import type { PlainValue } from '../render/c-plain.ts'
import type { PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import { hexNumber, isKernelAddress } from './data-address.ts'
import { ReadError, readPointer } from './data-read.ts'
import { findSymbol } from './data-symbol.ts'
import type { Report } from './dump-command.ts'
import { entryMembers } from './entry-members.ts'

/** An entry in `tree --json`. */
export interface TreeRow {
  /** of the struct, or of the node where no offset was given */
  readonly address: bigint
  /** `root/l/r` */
  readonly position: string
  /** what it is stored for; absent in a red-black tree */
  readonly index?: bigint
  readonly members?: Readonly<Record<string, PlainValue>>
}

export type TreeType = 'rbtree' | 'radix' | 'xarray' | 'maple'

/** @throws UsageError */
export function treeType(word: string): TreeType {
  if (word.startsWith('rb')) return 'rbtree'
  if (word.startsWith('ra')) return 'radix'
  if (word.startsWith('x')) return 'xarray'
  if (word.startsWith('m')) return 'maple'
  throw new UsageError('-t', `invalid tree type: ${word}`)
}

export interface TreeOptions {
  readonly type: TreeType
  /** where the tree is, without {@link rootOffset} */
  readonly start: bigint
  readonly from: 'root' | 'node'
  /** from the start to the root in it */
  readonly rootOffset: bigint
  /** from the struct to its node; for red-black trees */
  readonly nodeOffset: bigint
  /** red-black trees in key order */
  readonly linear: boolean
  readonly positions: boolean
  readonly show: { readonly s?: readonly string[]; readonly S?: readonly string[] }
  readonly print: PrintOptions
  readonly note: (line: string) => void
}

/** The address a tree starts at: a symbol, hex digits or `(expression)`. @throws UsageError */
export function treeStart(target: Target, word: string): bigint {
  const symbol = findSymbol(target, word)
  const value = symbol !== undefined ? BigInt(symbol.va) : word.startsWith('(') ? evaluate(target, word).integer() : hexNumber(word) // prettier-ignore
  if (value === undefined || !isKernelAddress(target, addr(value)))
    throw new UsageError(word, `invalid start argument: ${word}`)
  return addr(value)
}

/** @throws CoredrillError when the kernel has no such trees */
export function treeReport(target: Target, options: TreeOptions): Report {
  const walked = walk(target, options)
  const rows: TreeRow[] = []
  const text = function* (): Generator<string> {
    try {
      for (const { entry, position, index } of walked.entries) {
        const address = addr(entry - options.nodeOffset)
        yield `${hex(address)}\n`
        if (options.positions)
          yield index === undefined
            ? `  position: ${position}\n`
            : `  index: ${index}  position: ${position}\n`
        const members: Record<string, PlainValue> = {}
        yield* entryMembers({ target, flags: options.show, options: options.print }, address, members)
        const more = {
          ...(index !== undefined && { index }),
          ...(Object.keys(members).length > 0 && { members }),
        }
        rows.push({ address, position, ...more })
      }
    } catch (error) {
      if (!(error instanceof TreeLoop)) throw error
      yield '\n'
      throw new CoredrillError('CORRUPT', `duplicate tree entry: ${hex(error.node)}`)
    }
  }
  return { rows, text: text(), get failed() { return walked.failed } } // prettier-ignore
}

const NAMES = { rbtree: 'red-black trees', radix: 'radix trees', xarray: 'xarrays', maple: 'maple trees' }

interface Walked {
  readonly entries: Iterable<TreeEntry>
  /** read after the entries */
  readonly failed: boolean
}

function walk(target: Target, options: TreeOptions): Walked {
  const { types } = target
  const { type, from } = options
  const start = from === 'node' ? options.start : addr(options.start + options.rootOffset)
  const word = (at: bigint, what: string): bigint => readPointer(target, at, what)
  if (type === 'rbtree') return rbWalk(target, options, start, word)
  const layout = type === 'maple' ? undefined : slot_layout(types, type)
  if (layout !== undefined)
    return { entries: slot_entries({ types, word }, layout, start, from), failed: false }
  if (type !== 'maple' || !has_maple_tree(types))
    throw new CoredrillError('NO_TYPE', `${NAMES[type]} do not exist or have changed their format`)
  return { entries: maple_entries({ types, word }, start, from), failed: false }
}

/** A link that cannot be read is told, and the rest of the tree shown. */
function rbWalk(
  { types }: Target,
  { from, linear, note, nodeOffset }: TreeOptions,
  start: bigint,
  word: (at: bigint, what: string) => bigint,
): Walked {
  let failed = false
  const link = (at: bigint, what: string): bigint => {
    try {
      return word(at, what)
    } catch (error) {
      if (!(error instanceof ReadError)) throw error
      failed = true
      note(error.message)
      return 0n
    }
  }
  const top = from === 'root' ? word(start, 'rb_root rb_node') : addr(start + nodeOffset)
  const nodes = linear ? rb_nodes_in_order : rb_nodes
  return { entries: nodes(types, link, top), get failed() { return failed } } // prettier-ignore
}
