/** What is wrong with a scenario, and where: every problem of a file is collected, then reported at once. */

import { CoredrillError } from '../base/errors.ts'

/** A place in the scenario file; line and column count from 1, as editors do. */
export interface Position {
  readonly line: number
  readonly column: number
  /** characters to underline, at least 1 */
  readonly length: number
}

export type ProblemCode =
  /** not YAML, or YAML we do not take */
  | 'SYNTAX'
  | 'UNKNOWN_KEY'
  | 'MISSING_KEY'
  | 'WRONG_TYPE'
  | 'BAD_VALUE'
  /** names something the scenario does not have */
  | 'UNKNOWN_NAME'
  | 'DUPLICATE'
  /** a pinned address that cannot be had */
  | 'BAD_PIN'
  /** found while the scenario ran */
  | 'RUN'
  /** an expectation that was not met */
  | 'EXPECTATION'

export interface Problem {
  readonly code: ProblemCode
  readonly message: string
  readonly position: Position
}

/** Collects problems as a file is read. */
export type Report = (problem: Problem) => void

/** A scenario that cannot be recorded. `message` is the first problem in one line, {@link text} has them all. */
export class ScenarioError extends CoredrillError {
  readonly path: string
  readonly problems: readonly Problem[]
  /** All problems: position, message, the source line and a caret. */
  readonly text: string

  constructor(path: string, source: string, problems: readonly Problem[]) {
    const sorted = [...problems].sort(
      (a, b) => a.position.line - b.position.line || a.position.column - b.position.column,
    )
    const [first] = sorted
    const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : ''
    super('SCENARIO', first === undefined ? path : `${heading(path, first)}${more}`)
    this.path = path
    this.problems = sorted
    this.text = sorted.map((problem) => describeProblem(path, source, problem)).join('\n')
  }
}

const heading = (path: string, { position, message }: Problem): string =>
  `${path}:${position.line}:${position.column}: ${message}`

/** Longest part of a source line that is shown. */
const LINE_MAX = 120

/** `file:line:column: message`, the source line, and a caret under it. */
export function describeProblem(path: string, source: string, problem: Problem): string {
  const { line, column, length } = problem.position
  const text = source.split(/\r?\n/)[line - 1] ?? ''
  const skipped = Math.max(0, column - LINE_MAX / 2)
  const shown = text.slice(skipped, skipped + LINE_MAX)
  const indent = shown.slice(0, column - 1 - skipped).replaceAll(/[^\t]/g, ' ')
  const carets = '^'.repeat(Math.max(1, Math.min(length, shown.length - indent.length)))
  const gutter = String(line)
  return `${heading(path, problem)}\n  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${indent}${carets}\n`
}
