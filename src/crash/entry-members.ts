/** What `-s` and `-S` show of each entry of a list or tree: whole structs, or members of them. */

import { UsageError } from '../base/errors.ts'
import { CValue } from '../btf/value.ts'
import { types_of_struct } from '../helpers/module-types.ts'
import { plainValue, type PlainValue } from '../render/c-plain.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import { findPath, memberText } from './struct-members.ts'

export interface EntryOptions {
  readonly target: Target
  readonly flags: { readonly s?: readonly string[]; readonly S?: readonly string[] }
  readonly options: PrintOptions
}

/**
 * @param struct address of the struct
 * @param members filled with what was shown, by name
 * @throws UsageError when there is no such struct
 */
export function* entryMembers(
  { target, flags, options }: EntryOptions,
  struct: bigint,
  members: Record<string, PlainValue>,
): Generator<string> {
  for (const wanted of flags.s ?? []) {
    const [name, paths] = split(wanted)
    const value = valueAt(target, name, struct)
    if (paths.length === 0) {
      yield `struct ${name} ${valueText(value, options)}\n\n`
      members[name] = plainValue(value, options)
    }
    for (const path of paths) {
      const found = findPath(value, path)
      if (found === undefined) continue
      yield memberText(value, path, options) ?? ''
      members[path] = plainValue(found.value, options)
    }
  }
  for (const wanted of flags.S ?? []) {
    const [name, paths] = split(wanted)
    yield* plainMembers(valueAt(target, name, struct), paths, options, members)
  }
}

/** `-S`: numbers without their types. */
function* plainMembers(
  value: CValue,
  paths: readonly string[],
  options: PrintOptions,
  members: Record<string, PlainValue>,
): Generator<string> {
  for (const path of paths) {
    const found = findPath(value, path)
    if (found === undefined) continue
    const plain = plainValue(found.value, options)
    members[path] = plain
    const isNumber = typeof plain === 'number' || typeof plain === 'bigint'
    if (!isNumber) yield memberText(value, path, options) ?? ''
    else {
      const word = BigInt.asUintN(64, BigInt(plain))
      yield `  ${path} = ${options.radix === 16 ? `0x${word.toString(16)}` : String(word)}\n`
    }
  }
}

/** @throws UsageError */
function valueAt(target: Target, name: string, at: bigint): CValue {
  const types = types_of_struct(target, name)
  const type = types?.findStruct(name)
  if (types === undefined || type === undefined)
    throw new UsageError(name, `invalid data structure reference: ${name}`)
  return CValue.at(types, target.mem, type, at)
}

/** `task_struct.pid,comm` */
function split(wanted: string): [name: string, paths: string[]] {
  const dot = wanted.indexOf('.')
  if (dot < 0) return [wanted, []]
  return [wanted.slice(0, dot), wanted.slice(dot + 1).split(',')]
}
