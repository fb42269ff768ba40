/** How styles look, in colour and without, and the signs drawn with them. */

import type { Style } from './cell.ts'

/** Colours by number of the usual palette; undefined is the terminal's own. */
export interface Look {
  readonly fg?: number
  readonly bg?: number
  readonly bold?: boolean
  readonly underline?: boolean
  readonly inverse?: boolean
}

export type ThemeName = 'dark' | 'light' | 'mono'
export const THEME_NAMES: readonly ThemeName[] = ['dark', 'light', 'mono']

export type Theme = Readonly<Record<Style, Look>>

/** Everything a theme without colour says is said by signs too: `*` before what changed, `[ ]` on the timeline. */
const mono: Theme = {
  plain: {},
  title: { bold: true },
  active: { bold: true, inverse: true },
  selected: { underline: true },
  cursor: { inverse: true },
  dim: {},
  changed: { bold: true },
  name: {},
  address: {},
  text: {},
  error: { bold: true },
  key: { bold: true },
  marked: { inverse: true },
}

const dark: Theme = {
  plain: {},
  title: { fg: 14, bold: true },
  active: { fg: 0, bg: 14, bold: true },
  selected: { bg: 8, fg: 15 },
  cursor: { fg: 0, bg: 7 },
  dim: { fg: 8 },
  changed: { fg: 11, bold: true },
  name: { fg: 12 },
  address: { fg: 6 },
  text: { fg: 10 },
  error: { fg: 9, bold: true },
  key: { fg: 11 },
  marked: { fg: 0, bg: 11 },
}

const light: Theme = {
  ...dark,
  title: { fg: 4, bold: true },
  active: { fg: 15, bg: 4, bold: true },
  selected: { bg: 7, fg: 0 },
  cursor: { fg: 15, bg: 0 },
  changed: { fg: 1, bold: true },
  name: { fg: 4 },
  text: { fg: 2 },
  error: { fg: 1, bold: true },
  key: { fg: 5 },
}

export const themes: Readonly<Record<ThemeName, Theme>> = { dark, light, mono }

/** Signs of the interface; the ASCII ones for terminals that have nothing else. */
export interface Signs {
  readonly ascii: boolean
  readonly horizontal: string
  readonly vertical: string
  readonly closed: string
  readonly opened: string
  readonly pointer: string
  readonly arrow: string
  readonly more: string
  readonly enter: string
}

const unicode: Signs = {
  ascii: false,
  horizontal: '─',
  vertical: '│',
  closed: '▸',
  opened: '▾',
  pointer: '→',
  arrow: '→',
  more: '…',
  enter: '⏎',
}

const ascii: Signs = {
  ascii: true,
  horizontal: '-',
  vertical: '|',
  closed: '+',
  opened: '-',
  pointer: '>',
  arrow: '->',
  more: '..',
  enter: 'Enter',
}

export const signsOf = (isAscii: boolean): Signs => (isAscii ? ascii : unicode)

type Environment = Readonly<Record<string, string | undefined>>

/** Does the environment say that its terminal takes UTF-8? @see setlocale(3): the first of these that is set */
export function takesUnicode(env: Environment): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find(
    (value) => value !== undefined && value !== '',
  )
  return /utf-?8/i.test(locale ?? '') && env['TERM'] !== 'linux'
}

/** The theme for an environment: without colour where NO_COLOR is set or the terminal has none. */
export function themeFor(env: Environment): ThemeName {
  const noColor = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== ''
  return noColor || /^(vt\d|.*-m(ono)?$)/.test(env['TERM'] ?? '') ? 'mono' : 'dark'
}
