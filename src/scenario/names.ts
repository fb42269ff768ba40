/** The names a scenario gives to things, in the order it gives them: used before declared, or twice, is a problem. */

import { unknownName } from './issues.ts'
import type { Path, ScenarioSource } from './source.ts'
import type { Report } from './problem.ts'
import type { NameKind, StepCheck } from './step.ts'

export class Names {
  private readonly source: ScenarioSource
  private readonly report: Report
  private readonly known = new Map<NameKind, Set<string>>()

  constructor(source: ScenarioSource, report: Report) {
    this.source = source
    this.report = report
  }

  has(kind: NameKind, name: string): boolean {
    return this.known.get(kind)?.has(name) === true
  }

  all(kind: NameKind): string[] {
    return [...(this.known.get(kind) ?? [])]
  }

  /** A name nobody complains about, now or later. */
  add(kind: NameKind, name: string): void {
    const names = this.known.get(kind) ?? new Set()
    this.known.set(kind, names.add(name))
  }

  declare(kind: NameKind, name: string, path: Path): void {
    if (this.has(kind, name))
      this.report(this.source.at(path, 'DUPLICATE', `there is a ${kind} ${name} already`))
    this.add(kind, name)
  }

  use(kind: NameKind, name: string, path: Path): void {
    if (this.has(kind, name)) return
    this.report(this.source.at(path, 'UNKNOWN_NAME', unknownName(kind, name, this.all(kind))))
  }

  /** For a step: paths relative to its parameters. */
  under(base: Path): StepCheck {
    return {
      use: (kind, name, path) => this.use(kind, name, [...base, ...path]),
      declare: (kind, name, path) => this.declare(kind, name, [...base, ...path]),
      problem: (path, code, message) => this.report(this.source.at([...base, ...path], code, message)),
    }
  }
}
