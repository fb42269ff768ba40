/** What Tab offers at the prompt: commands, or types where a line begins with none; then types, members and symbols. */

import { isStruct, strip } from '../btf/type.ts'
import type { Shell } from './shell.ts'
import { builtins } from './shell-builtins.ts'

/** More than this many is no help. */
const MOST = 400
/** Symbols are offered from this many letters on. */
const SHORTEST_SYMBOL = 2

const TYPE_COMMANDS = new Set(['struct', 'union', 'whatis', '*', 'size', 'enum'])
const COMMAND_COMMANDS = new Set(['help', 'man', '?', 'foreach', 'for', 'repeat', 'alias'])

/** @returns the candidates and the piece of the line they replace, as node:readline wants it */
export type Completer = (line: string) => [string[], string]

/** Completion for a session; the lists of names are made when first asked for. */
export function completer(shell: Shell): Completer {
  let typeNames: string[] | undefined
  const types = (): string[] => (typeNames ??= namesOfTypes(shell))
  return (line) => {
    const fragment = /[^\s|(&*!]*$/.exec(line)?.[0] ?? ''
    const before = line.slice(0, line.length - fragment.length).trim()
    const first = before.split(/\s+/, 1)[0] ?? ''
    const command = before === '' ? undefined : first
    const found = matching(candidates(shell, types, command, fragment), fragment)
    const isNoCommand = command === undefined && found.length === 0 && fragment.length >= SHORTEST_SYMBOL
    return [isNoCommand ? matching(types(), fragment) : found, fragment]
  }
}

function matching(names: Iterable<string>, fragment: string): string[] {
  const found = new Set<string>()
  for (const name of names) {
    if (name.startsWith(fragment)) found.add(name)
    if (found.size >= MOST) break
  }
  return [...found].sort()
}

function* candidates(
  shell: Shell,
  types: () => string[],
  command: string | undefined,
  fragment: string,
): Generator<string> {
  if (fragment.includes('.')) {
    yield* members(shell, fragment)
    return
  }
  if (command === undefined || COMMAND_COMMANDS.has(command)) {
    yield* shell.session.commands.names
    yield* builtins.keys()
    yield* shell.aliases.names
    return
  }
  if (TYPE_COMMANDS.has(command)) yield* types()
  if (fragment.length >= SHORTEST_SYMBOL) yield* symbols(shell)
}

/** `sock.__sk_common.skc_da` and `task_struct.pid,co`: the path's struct gives the next member. */
function* members(shell: Shell, fragment: string): Generator<string> {
  const { types } = shell.session.target
  const dot = fragment.indexOf('.')
  const struct = types.findStruct(fragment.slice(0, dot))
  if (struct === undefined) return
  const comma = fragment.lastIndexOf(',')
  const pathStart = comma < 0 ? dot + 1 : comma + 1
  const lastDot = fragment.lastIndexOf('.')
  const inner =
    lastDot < pathStart
      ? struct
      : strip(types.findPlace(struct, fragment.slice(pathStart, lastDot))?.type ?? struct)
  if (!isStruct(inner)) return
  const head = fragment.slice(0, Math.max(pathStart, lastDot + 1))
  for (const name of types.members(inner).keys()) yield head + name
}

function namesOfTypes(shell: Shell): string[] {
  const { btf } = shell.session.target.types
  const names = new Set<string>()
  for (let id = 1; id < btf.endId; id++) {
    const kind = btf.kindOf(id)
    if (kind !== 'struct' && kind !== 'union' && kind !== 'typedef' && kind !== 'enum') continue
    const type = btf.type(id)
    if ('name' in type && type.name !== '') names.add(type.name)
  }
  return [...names].sort()
}

function* symbols(shell: Shell): Generator<string> {
  for (const symbol of shell.session.target.symbols.all()) yield symbol.name
}
