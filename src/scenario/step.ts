/** What a step of a scenario is: a name, a schema that validates and documents it, and what it does. */

import type { z } from 'zod'
import type { Path } from './source.ts'
import type { ProblemCode } from './problem.ts'
import type { Run } from './run.ts'

/** What a name in a scenario can stand for. */
export type NameKind =
  'host' | 'device' | 'connection' | 'process' | 'program' | 'module' | 'probe' | 'snapshot'

/** Given to a step's `check`: are the names it uses there by then? Paths are relative to the step's parameters. */
export interface StepCheck {
  /** The name must have been declared before. */
  use(kind: NameKind, name: string, path: Path): void
  /** The name is new from here on. */
  declare(kind: NameKind, name: string, path: Path): void
  problem(path: Path, code: ProblemCode, message: string): void
}

export interface StepDefinition<S extends z.ZodType = z.ZodType> {
  /** The key of the step in the file; the file name under steps/ with `_` for `-`. */
  readonly name: string
  /** One line, for the list of steps. */
  readonly summary: string
  /** YAML that is valid as an item of `steps`. */
  readonly example: string
  readonly params: S
  readonly check?: (params: z.output<S>, check: StepCheck) => void
  /** Do it; the machine then runs by itself. @throws CoredrillError when it cannot be done */
  readonly run: (run: Run, params: z.output<S>) => void
}

/** A step as the list of all steps holds it. */
export function defineStep<S extends z.ZodType>(step: StepDefinition<S>): StepDefinition {
  return step
}
