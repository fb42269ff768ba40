/** What a text may mean: an address, a pid, a type at an address, a task, a type, a symbol; the likeliest first. */

import { hex, toAddr, toVa, type Va } from '../base/addr.ts'
import { evaluate } from '../helpers/expression.ts'
import { CoredrillError } from '../base/errors.ts'
import { countNumber, hexNumber } from '../crash/data-address.ts'
import { isStruct, strip } from '../btf/type.ts'
import type { KernelSymbol } from '../symbols/symbol.ts'
import { subjectAt, subjectText, type Subject } from './subject.ts'
import { plainText } from './cell.ts'
import type { Row } from './row.ts'
import type { World } from './world.ts'

/** A place to go to. */
export interface Found {
  /** as shown */
  readonly text: string
  readonly kind: 'task' | 'place' | 'layout'
  /** of a task its key */
  readonly key?: string
  readonly subject?: Subject
  /** of a type without an address its name */
  readonly type?: string
}

/** Candidates for a text; `undefined` where work was done for none. */
export function* searchRows(world: World, query: string): Generator<Found | undefined> {
  const text = query.trim()
  if (text === '') return
  yield* exact(world, text)
  // a number is a pid or an address, no part of a name: there may be very many names
  if (!/^[\w.]+$/.test(text) || /^\d+$/.test(text)) return
  yield* exactSymbol(world, text)
  yield* tasks(world, text)
  yield* typesOf(world, text)
  if (text.length >= 3) yield* symbolsOf(world, (name) => name !== text && name.includes(text))
}

/** What the text says by itself, without a search. */
function* exact(world: World, text: string): Generator<Found> {
  const { target } = world
  const typed = /^(?:(?:struct|union)\s+)?(\w+)\s+(\S+)$/.exec(text)
  if (typed !== null) {
    const [, name = '', address = ''] = typed
    const type = target.types.findStruct(name)
    const va = addressOf(world, address)
    if (type !== undefined && va !== undefined) yield place({ label: name, type, va })
    return
  }
  const pid = /^\d+$/.test(text) ? countNumber(text) : undefined
  const row = pid === undefined ? undefined : world.rowOf('tasks', String(pid))
  if (row !== undefined) yield taskFound(row)
  const number = /^(0x)?[0-9a-f]{6,16}$/i.test(text) ? hexNumber(text) : undefined
  const va = number === undefined ? NaN : toVa(number, target.wordSize)
  if (!Number.isNaN(va)) yield* atAddress(world, va)
  if (!/^[\w]+$/.test(text)) yield* expression(world, text)
}

function* atAddress(world: World, va: Va): Generator<Found> {
  const subject = subjectAt(world.target, va)
  yield place(subject)
  if (subject.type !== undefined) yield place({ label: hex(toAddr(va)), type: undefined, va })
}

/** `tcp_hashinfo.ehash`, `((struct sock *)0xffff…)->sk_socket`: an object, or what a pointer points at. */
function* expression(world: World, text: string): Generator<Found> {
  try {
    const value = evaluate(world.target, text)
    const type = strip(value.type)
    const { wordSize } = world.target
    if (type.kind === 'ptr') {
      const inner = strip(type.target)
      const va = toVa(value.integer(), wordSize)
      if (!Number.isNaN(va) && va !== 0)
        yield place({
          label: inner.kind === 'void' || !isStruct(inner) ? text : inner.name,
          type: inner.kind === 'void' ? undefined : inner,
          va,
        })
    } else if (value.addr !== undefined) {
      yield place({ label: text, type: value.type, va: toVa(value.addr, wordSize) })
    }
  } catch (error) {
    // not (yet) an expression
    if (!(error instanceof CoredrillError)) throw error
  }
}

function addressOf({ target }: World, word: string): Va | undefined {
  const number = hexNumber(word)
  const va = number === undefined ? target.symbols.find(word)?.va : toVa(number, target.wordSize)
  return va === undefined || Number.isNaN(va) ? undefined : va
}

const place = (subject: Subject): Found => ({
  kind: 'place',
  text: `${subject.label}: ${subjectText(subject)}`,
  subject,
})
const taskFound = (row: Row): Found => ({
  kind: 'task',
  text: `task ${plainText(row.spans).trim()}`,
  key: row.key,
})

function* tasks(world: World, text: string): Generator<Found | undefined> {
  const wanted = text.toLowerCase()
  const source = world.tasks
  const { listing } = world.rows('tasks', '')
  for (let i = 0; ; i++) {
    listing.ensure(i + 1)
    const entry = listing.at(i)
    if (entry === undefined) return
    const own = entry as Parameters<typeof source.row>[0]
    if (source.words(own).toLowerCase().includes(wanted)) yield taskFound(source.row(own))
    else yield undefined
  }
}

function* typesOf(world: World, text: string): Generator<Found | undefined> {
  const { btf } = world.target.types
  const found = (name: string, kind: string): Found => ({
    kind: 'layout',
    text: `${kind} ${name}`,
    type: name,
  })
  const own = world.target.types.findStruct(text)
  if (own !== undefined) yield found(text, own.kind)
  for (let id = 1; id < btf.endId; id++) {
    const kind = btf.kindOf(id)
    if (kind !== 'struct' && kind !== 'union') {
      yield undefined
      continue
    }
    const type = btf.type(id)
    const fits = isStruct(type) && type.name !== text && type.name.includes(text)
    yield fits ? found(type.name, type.kind) : undefined
  }
}

function* symbolsOf(world: World, fits: (name: string) => boolean): Generator<Found | undefined> {
  for (const symbol of world.target.symbols.all()) {
    yield symbol.absolute || !fits(symbol.name) ? undefined : symbolFound(world, symbol)
  }
}

/** The symbol of that name, found without a search. */
function* exactSymbol(world: World, name: string): Generator<Found> {
  const symbol = world.target.symbols.find(name)
  if (symbol !== undefined && !symbol.absolute) yield symbolFound(world, symbol)
}

function symbolFound({ target }: World, { name, module, va }: KernelSymbol): Found {
  const subject: Subject = { label: name, type: target.typeOf(name), va }
  const whose = module === undefined ? '' : ` [${module}]`
  return { kind: 'place', text: `symbol ${name}${whose} ${hex(toAddr(va))}`, subject }
}
