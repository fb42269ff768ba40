/** Help pages, in our own words, made of what each command says of itself. */

import type { Command } from '@oclif/core'
import type { DumpCommandClass } from './command-set.ts'
import { kindOf, type FlagKind, type FlagSpec } from './options.ts'

const OWN_OPTIONS: readonly [string, string][] = [
  ['--core FILE', 'the dump or vmcore (default: $COREDRILL_CORE)'],
  ['--at SNAPSHOT', 'a snapshot of a dump, by name or step'],
  ['--namelist FILE', 'a vmlinux or System.map, for a kernel whose own symbols or types are missing'],
  ['--no-cache', 'do not use or keep an index of this kernel (as $COREDRILL_NO_CACHE)'],
  ['--verbose', 'say what the index cache did and how much of the dump was read'],
  ['--json', 'the same rows as JSON'],
]

/** Where a command is typed; `whole`: its examples are whole shell lines already. */
export type Place = 'prompt' | 'shell' | 'whole'

/** What a command says of itself. */
export type Described = Pick<
  DumpCommandClass,
  'summary' | 'synopsis' | 'description' | 'crashFlags' | 'examples'
>

/**
 * The page of one command.
 *
 * @param place  where it will be typed: a shell also has the options that name the dump
 */
export function commandHelp(name: string, Class: Described, place: Place): string {
  const lines = ['NAME', `  ${name} - ${Class.summary ?? ''}`, '', 'SYNOPSIS', `  ${Class.synopsis || name}`]
  if (Class.description !== undefined) lines.push('', 'DESCRIPTION', ...indented(Class.description))
  const options = optionRows(Class)
  if (place === 'shell') options.push(...OWN_OPTIONS)
  if (place === 'whole') options.push(...OWN_OPTIONS.slice(0, -1))
  if (options.length > 0) lines.push('', 'OPTIONS', ...columns(options))
  const examples = exampleLines(Class, place)
  if (examples.length > 0) lines.push('', 'EXAMPLES', ...examples)
  return `${lines.join('\n')}\n`
}

/** Every command with its summary, for `help` alone. */
export function commandList(commands: readonly [string, string][]): string {
  const lines = [
    ...columns(commands),
    '',
    'help COMMAND, or COMMAND -h, tells more. A line may end in "| program" or "> file";',
    '"!program" runs a program, a type name with an address prints it, q leaves.',
  ]
  return `${lines.join('\n')}\n`
}

function optionRows(Class: Described): [string, string][] {
  return Object.entries(Class.crashFlags).map(([key, spec]) => [optionText(key, spec), summaryOf(spec)])
}

function summaryOf(spec: FlagKind | FlagSpec): string {
  return typeof spec === 'string' ? '' : (spec.summary ?? '')
}

function optionText(key: string, spec: FlagKind | FlagSpec): string {
  const isShort = key.length === 1 || /^\d+$/.test(key)
  const long = typeof spec === 'string' ? undefined : spec.name
  const names = [isShort ? `-${key}` : `--${key}`, ...(long === undefined ? [] : [`--${long}`])]
  const kind = kindOf(spec)
  const value = kind === 'value' || kind === 'values' ? ' VALUE' : kind === 'optional' ? '[=VALUE]' : ''
  return names.join(', ') + value
}

/** Examples are written once, as `ps -p 1` or `coredrill ps -p 1 --core F`, and shown as they are typed in that place. */
function exampleLines(Class: Described, place: Place): string[] {
  const lines: string[] = []
  for (const example of (Class.examples as Command.Example[] | undefined) ?? []) {
    const { command, description } =
      typeof example === 'string' ? { command: example, description: '' } : example
    if (description) lines.push(`  ${description}:`)
    lines.push(`    ${asTyped(command, place)}`)
  }
  return lines
}

const PROGRAM = /^(?:\$ )?(?:coredrill|<%= config\.bin %>) /

function asTyped(command: string, place: Place): string {
  if (place === 'whole') return command
  return place === 'prompt' ? promptForm(command) : shellForm(command)
}

function promptForm(command: string): string {
  return `crash> ${command.replace(PROGRAM, '').replace(/\s+--(core|at)[ =]\S+/g, '')}`
}

function shellForm(command: string): string {
  const words = command.replace(PROGRAM, '')
  return `coredrill ${words}${/--core\b/.test(words) ? '' : ' --core FILE'}`
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd())
}

function indented(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`.trimEnd())
}
