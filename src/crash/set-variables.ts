/** Crash's variables: what each can be, how it is shown, and setting it. */

import { UsageError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'

/** One variable of `set`. */
interface Variable {
  readonly name: string
  /** its value as `set -v` shows it */
  show(context: Context, target: Target): string
  /** Set it; undefined: it cannot be. @throws UsageError for a value it does not take */
  readonly set?: (context: Context, value: string, target: Target) => void
}

type Switch = 'scroll' | 'refresh' | 'printArray' | 'core' | 'hash' | 'silent' | 'unwind' | 'zeroExcluded' | 'nullStop' | 'gdb' | 'redzone' // prettier-ignore

const ON_OFF: Readonly<Record<string, boolean>> = { on: true, off: false, '1': true, '0': false }

/** One that is on or off. */
function onOff(name: string, key: Switch, extra = (_on: boolean): string => ''): Variable {
  return {
    name,
    show: (context) => `${context[key] ? 'on' : 'off'}${extra(context[key])}`,
    set: (context, value) => {
      const on = ON_OFF[value]
      if (on === undefined) throw new UsageError(value, `${name}: on or off, not ${value}`)
      context[key] = on
    },
  }
}

/** One of several words. */
function oneOf<K extends 'edit' | 'offline'>(name: K, values: readonly Context[K][]): Variable {
  return {
    name,
    show: (context) => context[name],
    set: (context, value) => {
      const found = values.find((v) => v === value)
      if (found === undefined) throw new UsageError(value, `${name}: ${values.join(' or ')}, not ${value}`)
      context[name] = found
    },
  }
}

function whole(value: string, name: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(value, `${name}: a number, not ${value}`)
  return Number(value)
}

const RADIX: Readonly<Record<string, 10 | 16>> = {
  '10': 10,
  dec: 10,
  decimal: 10,
  '16': 16,
  hex: 16,
  hexadecimal: 16,
}

/** In the order of `set -v`. */
const VARIABLES: readonly Variable[] = [
  onOff('scroll', 'scroll', (on) => (on ? ' (pager)' : ' (none)')),
  {
    name: 'radix',
    show: ({ radix }) => `${radix} (${radix === 16 ? 'hex' : 'decimal'})`,
    set: (context, value) => {
      const radix = RADIX[value]
      if (radix === undefined) throw new UsageError(value, `invalid output radix: ${value}`)
      context.radix = radix
    },
  },
  onOff('refresh', 'refresh'),
  {
    name: 'print_max',
    show: (context) => String(context.printMax),
    set: (context, value) => (context.printMax = whole(value, 'print_max')),
  },
  onOff('print_array', 'printArray'),
  {
    name: 'console',
    show: (context) => context.console ?? '(not assigned)',
    set: (context, value) => (context.console = value === 'off' ? undefined : value),
  },
  {
    name: 'debug',
    show: (context) => String(context.debug),
    set: (context, value) => (context.debug = whole(value, 'debug')),
  },
  onOff('core', 'core'),
  onOff('hash', 'hash'),
  onOff('silent', 'silent'),
  oneOf('edit', ['vi', 'emacs']),
  { name: 'namelist', show: () => NAMELIST },
  { name: 'dumpfile', show: (_context, target) => target.path },
  onOff('unwind', 'unwind'),
  onOff('zero_excluded', 'zeroExcluded'),
  onOff('null-stop', 'nullStop'),
  onOff('gdb', 'gdb'),
  {
    name: 'scope',
    show: (context) => (context.scope === 0n ? '0 (not set)' : context.scope.toString(16)),
    set: (context, value, target) => {
      const symbol = target.symbols.find(value)
      if (symbol === undefined && !/^(0x)?[0-9a-f]+$/i.test(value)) {
        throw new UsageError(value, `scope: a symbol or text address, not ${value}`)
      }
      context.scope = symbol === undefined ? BigInt(`0x${value.replace(/^0x/i, '')}`) : target.sym(value)
    },
  },
  oneOf('offline', ['show', 'hide']),
  onOff('redzone', 'redzone'),
  {
    name: 'error',
    show: (context) => context.error,
    set: (context, value) => (context.error = value),
  },
]

/** Symbols and types are read from the memory itself. */
export const NAMELIST = '(in the dump)'

/** Other words for a variable. */
const OTHER_NAMES: Readonly<Record<string, string>> = { null_stop: 'null-stop', pager: 'scroll' }

export const variable = (word: string): Variable | undefined =>
  VARIABLES.find((v) => v.name === (OTHER_NAMES[word] ?? word))

/** All variables by name. */
export const variableValues = (context: Context, target: Target): Record<string, string> =>
  Object.fromEntries(VARIABLES.map((v) => [v.name, v.show(context, target)]))

/** `set -v` */
export function variablesText(context: Context, target: Target): string {
  return VARIABLES.map((v) => `${v.name.padStart(14)}: ${v.show(context, target)}\n`).join('')
}
