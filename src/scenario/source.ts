/**
 * A scenario's text as plain values, with the position of each. Integers arrive as bigints, because a 64-bit
 * address does not survive as a number.
 */

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, Node, Pair, Scalar } from 'yaml'
import type { Position, Problem, ProblemCode, Report } from './problem.ts'

/** Keys and indices from the top of the file to a value. */
export type Path = readonly PropertyKey[]

/** More than any scenario has; a guard against files that are none. */
const BYTES_MAX = 1 << 20
const DEPTH_MAX = 64
const NODES_MAX = 200_000
const SYNTAX_ERRORS_MAX = 20
const EXCERPT_MAX = 120

export class ScenarioSource {
  readonly path: string
  readonly text: string
  /** Maps, lists, strings, booleans, null, floats as numbers, integers as bigints. */
  readonly value: unknown
  /** What YAML itself had to say. */
  readonly problems: Problem[] = []
  private readonly lines = new LineCounter()
  private readonly values = new Map<string, readonly [number, number]>()
  private readonly keys = new Map<string, readonly [number, number]>()
  private nodes = 0

  constructor(path: string, text: string) {
    this.path = path
    this.text = text
    this.value = this.parse(text)
  }

  /** Where a value stands; the nearest thing around it when it is not there. */
  locate(path: Path): Position {
    for (let length = path.length; length >= 0; length--) {
      const range = this.values.get(keyOf(path.slice(0, length)))
      if (range !== undefined) return this.position(range)
    }
    return { line: 1, column: 1, length: 1 }
  }

  /** Where the key of a value stands. */
  locateKey(path: Path): Position {
    const range = this.keys.get(keyOf(path))
    return range === undefined ? this.locate(path) : this.position(range)
  }

  /** The text of a value on one line, cut to what a line takes. */
  excerpt(path: Path): string {
    const [start, end] = this.values.get(keyOf(path)) ?? [0, 0]
    const text = this.text
      .slice(start, end)
      .replaceAll(/(^|\s)#.*$/gm, '')
      .replaceAll(/\s+/g, ' ')
      .trim()
    return text.length > EXCERPT_MAX ? `${text.slice(0, EXCERPT_MAX - 1)}…` : text
  }

  /** A problem at a value. */
  at(path: Path, code: ProblemCode, message: string): Problem {
    return { code, message, position: this.locate(path) }
  }

  private parse(text: string): unknown {
    if (Buffer.byteLength(text) > BYTES_MAX) {
      this.complain([0, 1], `a scenario has at most ${BYTES_MAX >> 20} MiB`)
      return undefined
    }
    try {
      const doc = parseDocument(text, {
        lineCounter: this.lines,
        intAsBigInt: true,
        prettyErrors: false,
        version: '1.2',
      })
      for (const error of doc.errors.slice(0, SYNTAX_ERRORS_MAX)) this.complain(error.pos, error.message)
      // what follows a syntax error would only be misunderstood; a key given twice harms nothing else
      if (doc.errors.some((error) => error.code !== 'DUPLICATE_KEY')) return undefined
      return doc.contents === null ? undefined : this.convert(doc, doc.contents, [], 0)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.complain([0, 1], 'nested too deeply')
      return undefined
    }
  }

  private convert(doc: Document, node: Node, path: Path, depth: number): unknown {
    const range = node.range ?? [0, 1, 1]
    if (!this.values.has(keyOf(path))) this.values.set(keyOf(path), [range[0], range[1]])
    if (depth > DEPTH_MAX || ++this.nodes > NODES_MAX) {
      this.complain([range[0], range[0] + 1], depth > DEPTH_MAX ? 'nested too deeply' : 'too many values')
      return undefined
    }
    if (isAlias(node)) {
      const target = node.resolve(doc)
      if (target !== undefined) return this.convert(doc, target, path, depth + 1)
      this.complain([range[0], range[1]], `no anchor &${node.source}`)
      return undefined
    }
    if (isMap(node)) {
      const map: Record<string, unknown> = {}
      for (const pair of node.items) this.convertPair(doc, pair as Pair<Node, Node | null>, path, depth, map)
      return map
    }
    if (isSeq(node)) {
      return node.items.map((item, i) => this.convert(doc, item as Node, [...path, i], depth + 1))
    }
    return isScalar(node) ? this.scalar(node) : undefined
  }

  private convertPair(
    doc: Document,
    pair: Pair<Node, Node | null>,
    path: Path,
    depth: number,
    map: Record<string, unknown>,
  ): void {
    const { key, value } = pair
    const range = key.range ?? [0, 1, 1]
    if (!isScalar(key) || !['string', 'bigint', 'number', 'boolean'].includes(typeof key.value)) {
      this.complain([range[0], range[1]], 'a key must be plain text')
      return
    }
    const name = String(key.value)
    const here = [...path, name]
    this.keys.set(keyOf(here), [range[0], range[1]])
    const converted = value === null ? null : this.convert(doc, value, here, depth + 1)
    if (value === null) this.values.set(keyOf(here), [range[0], range[1]])
    // __proto__ as a key is data, too
    Object.defineProperty(map, name, {
      value: converted,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }

  private scalar(node: Scalar): unknown {
    if (typeof node.value === 'bigint' && /^[-+]?0\d/.test(node.source ?? '')) {
      const [start, end] = node.range ?? [0, 1]
      this.complain(
        [start, end],
        `a leading zero does not make it octal: write 0o${node.source ?? ''}, or quote it`,
      )
    }
    return node.value
  }

  private complain(range: readonly [number, number], message: string): void {
    this.problems.push({ code: 'SYNTAX', message, position: this.position(range) })
  }

  private position([start, end]: readonly [number, number]): Position {
    const { line, col } = this.lines.linePos(start)
    const stop = this.lines.linePos(Math.max(start, end))
    const length = stop.line === line ? stop.col - col : Infinity
    return { line: Math.max(line, 1), column: Math.max(col, 1), length: Math.max(1, Math.min(length, 200)) }
  }
}

const keyOf = (path: Path): string => JSON.stringify(path)

/** Reports a source's problems, and more found at its values. */
export const reporter =
  (source: ScenarioSource, report: Report) =>
  (path: Path, code: ProblemCode, message: string): void =>
    report(source.at(path, code, message))
