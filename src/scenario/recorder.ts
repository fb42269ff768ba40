/** Recording: a scenario's steps one after the other, and everything a dump keeps of them. */

import { toVa } from '../base/addr.ts'
import { CoredrillError, InvariantError } from '../base/errors.ts'
import { kernelFunctions } from '../linux/kfunc.ts'
import type { Kernel } from '../linux/kernel.ts'
import type { Frame } from '../linux/net/wire/wire.ts'
import type { CdumpInput, SnapshotInput } from '../vmcore/cdump/write.ts'
import { startMachine } from './machine.ts'
import { pcapOf } from './pcap.ts'
import { ScenarioError } from './problem.ts'
import type { Run } from './run.ts'
import type { Scenario } from './scenario.ts'
import { watchStep, type StepReport } from './step-report.ts'

export interface RecordOptions {
  /** version of the program, for the dump's header */
  readonly createdBy: string
  /** name of the scenario, for the dump's header */
  readonly name: string
  /** told of each step before it runs */
  readonly onStep?: (number: number, of: number, summary: string) => void
  /** told of each step after it has run */
  readonly onStepDone?: (report: StepReport) => void
}

/** A scenario that has run: the dump's contents, and the run itself for the expectations. */
export interface Recording {
  readonly run: Run
  readonly dump: CdumpInput
}

/** Taken at the end when the scenario takes none itself. */
const LAST_SNAPSHOT = 'end'

/**
 * Run a scenario.
 * @throws ScenarioError at the step that could not be done
 */
export function recordScenario(scenario: Scenario, options: RecordOptions): Recording {
  const run = startMachine(scenario)
  scenario.steps.forEach((step, i) => {
    const { name } = step.definition
    const summary = `${name}: ${scenario.source.excerpt([...step.path, name])}`
    options.onStep?.(i + 1, scenario.steps.length, summary)
    const done = options.onStepDone === undefined ? undefined : watchStep(run)
    try {
      run.step(step, i + 1)
      if (done !== undefined) options.onStepDone?.(done())
    } catch (error) {
      if (error instanceof ScenarioError || error instanceof InvariantError) throw error
      if (!(error instanceof CoredrillError)) throw error
      const problem = scenario.source.at(step.path, 'RUN', error.message)
      throw new ScenarioError(scenario.source.path, scenario.source.text, [problem])
    }
  })
  checkPinsTaken(run)
  if (run.snapshots.length === 0) run.snapshot(LAST_SNAPSHOT)
  return { run, dump: dumpOf(run, options) }
}

/** A pin nothing took: the object the scenario speaks of never came to be. */
function checkPinsTaken(run: Run): void {
  const { source } = run.scenario
  const left = run.unusedPins()
  if (left.length === 0) return
  const problems = left.map(({ path, spec }) =>
    source.at([...path, 'address'], 'BAD_PIN', `no object of ${spec.cache} was made in this step`),
  )
  throw new ScenarioError(source.path, source.text, problems)
}

function dumpOf(run: Run, options: RecordOptions): CdumpInput {
  const { k, scenario } = run
  return {
    header: {
      profile: k.profile.name,
      release: k.profile.release,
      machine: k.profile.machine === 'x86_64' ? 'x86_64' : 'i386',
      wordSize: k.profile.wordSize,
      memorySize: k.mem.sizeBytes,
      createdBy: options.createdBy,
      seed: scenario.seed,
      scenarioName: options.name,
      title: scenario.title,
      cpus: scenario.cpus,
    },
    vmcoreinfo: vmcoreinfoOf(k),
    snapshots: run.snapshots.map(({ name, step, timeNs, delta }, i): SnapshotInput => ({
      name,
      step,
      timeNs: BigInt(Math.round(timeNs)),
      parent: i === 0 ? null : i - 1,
      pages: delta.pages,
    })),
    sections: sectionsOf(run),
  }
}

/** The note's text, from the page `vmcoreinfo_data` points at. */
function vmcoreinfoOf(k: Kernel): string {
  const page = k.mem.read(k.mem.pointer(toVa(k.sym('vmcoreinfo_data'), k.mem.wordSize)), 4096)
  return Buffer.from(page).toString('latin1').replace(/\0.*$/s, '')
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

/** The history a vmcore has not. docs/scenario.md has the table. */
function sectionsOf(run: Run): Map<string, Uint8Array> {
  const { k, scenario } = run
  const { frames } = run
  return new Map<string, Uint8Array>([
    ['scenario', Buffer.from(scenario.source.text)],
    ['steps', json(run.rows)],
    ['journal', k.mem.journal.serialize()],
    [
      'functions',
      json(kernelFunctions.map(({ kfunc }) => ({ name: k.named(kfunc).name, file: kfunc.file }))),
    ],
    ['packets', pcapOf(frames, k.clock.bootWallNs)],
    ['frames', json(frames.map(frameRow))],
    ['traces', json(run.traces.rows())],
    ['refusals', json(run.refusals.all)],
    ['programs', json(run.programs.rows())],
    // which kernel's structures these are, where they are not this release's own
    ...(k.profile.borrowedLayout ? [['layout', Buffer.from(k.profile.layout)] as const] : []),
  ])
}

const frameRow = ({ number, atNs, device, direction, bytes }: Frame) => ({
  number,
  atNs,
  device,
  direction,
  length: bytes.length,
})
