/** Pinned addresses: all places are reserved when the machine has booted, each is handed out when its step comes. */

import { CoredrillError } from '../base/errors.ts'
import type { Kernel } from '../linux/kernel.ts'
import { pin, unusedPins } from '../linux/mm/slab_common.ts'
import type { PinSpec } from './grammar.ts'
import type { Problem } from './problem.ts'
import type { Scenario } from './scenario.ts'
import type { Path } from './source.ts'

/** A reserved place; allocations take it once it is armed. */
export interface ArmedPin {
  readonly spec: PinSpec
  readonly path: Path
  arm(): void
  /** An object lies there. */
  taken(): boolean
}

/** Every pin of a scenario with where it stands. */
export function allPins(scenario: Pick<Scenario, 'processes' | 'steps'>): { spec: PinSpec; path: Path }[] {
  const ofProcesses = scenario.processes.flatMap((process, i) =>
    (process.pins ?? []).map((spec, n) => ({ spec, path: ['processes', i, 'pins', n] })),
  )
  const ofSteps = scenario.steps.flatMap((step) =>
    step.pins.map((spec, n) => ({ spec, path: [...step.path, 'pins', n] })),
  )
  return [...ofProcesses, ...ofSteps]
}

/** Reserve them all. Problems are reported together. */
export function reservePins(k: Kernel, scenario: Scenario, problems: Problem[]): Map<object, ArmedPin> {
  const made = new Map<object, ArmedPin>()
  for (const { spec, path } of allPins(scenario)) {
    try {
      const state = pin(k, spec.cache, spec.address, spec.within, false)
      const arm = (): void => void (state.armed = true)
      const taken = (): boolean => !unusedPins(k).some(({ va }) => va === state.va)
      made.set(spec, { spec, path, arm, taken })
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
      problems.push(scenario.source.at([...path, 'address'], 'BAD_PIN', error.message))
    }
  }
  return made
}
