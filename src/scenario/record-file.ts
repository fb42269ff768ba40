/** From a scenario's file to a dump's file, and whether it came out as the scenario says it must. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { CoredrillError, DumpError } from '../base/errors.ts'
import { openTarget } from '../target/target.ts'
import { writeCdump } from '../vmcore/cdump/write.ts'
import { loadModuleFiles, withModuleFiles } from './module-files.ts'
import { checkExpectations, type CommandRunner } from './expect.ts'
import type { Problem } from './problem.ts'
import { recordScenario, type RecordOptions } from './recorder.ts'
import { parseScenario, type Scenario } from './scenario.ts'

export interface RecordFileOptions {
  /** where the dump goes; `dumps/NAME.cdump` when left out */
  readonly output: string
  /** instead of the scenario's own seed */
  readonly seed?: string | undefined
  /** check what the scenario expects; the commands of its `command:` items are answered by this */
  readonly runCommand?: CommandRunner | undefined
  readonly createdBy: string
  /** may the scenario load modules of its own? */
  readonly allowModules?: boolean | undefined
  readonly onStep?: RecordOptions['onStep']
  readonly onStepDone?: RecordOptions['onStepDone']
}

export interface RecordedFile {
  readonly scenario: Scenario
  readonly output: string
  readonly bytes: number
  readonly snapshots: readonly string[]
  readonly frames: number
  readonly writes: number
  /** expectations that were not met */
  readonly failed: readonly Problem[]
}

/** The scenarios a path stands for: those of a folder by name, or the file itself, whether it is there or not. */
export function scenarioFiles(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path]
  return readdirSync(path)
    .filter((file) => /\.ya?ml$/.test(file))
    .sort()
    .map((file) => join(path, file))
}

/** `scenarios/lsm-recvmsg.yaml` → `lsm-recvmsg` */
export const scenarioName = (path: string): string => basename(path).replace(/\.ya?ml$/, '')

/** @throws CoredrillError UNREADABLE; ScenarioError with every problem */
export function readScenario(path: string, seed?: string): Scenario {
  const scenario = parseScenario(path, readText(path))
  return seed === undefined ? scenario : { ...scenario, seed }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const words: Record<string, string> = {
      ENOENT: 'no such file',
      EACCES: 'permission denied',
      EISDIR: 'is a directory',
    }
    throw new CoredrillError('UNREADABLE', `${path}: cannot read: ${words[code] ?? code}`)
  }
}

/**
 * Record a scenario into a dump. The dump is written before its expectations are checked, because a failed one is
 * understood by looking into it.
 *
 * @throws ScenarioError when it cannot be recorded; DumpError when it cannot be written. Nothing is left behind then.
 */
export async function recordFile(path: string, options: RecordFileOptions): Promise<RecordedFile> {
  const scenario = readScenario(path, options.seed)
  refuseDirectory(options.output)
  await loadModuleFiles(path, scenario, options.allowModules === true)
  const name = scenarioName(path)
  const { onStep, onStepDone, createdBy } = options
  const told = { ...(onStep !== undefined && { onStep }), ...(onStepDone !== undefined && { onStepDone }) }
  const { run, dump } = withModuleFiles(path, scenario, () =>
    recordScenario(scenario, { name, createdBy, ...told }),
  )
  const bytes = writeCdump(options.output, dump)
  return {
    scenario,
    output: options.output,
    bytes,
    snapshots: dump.snapshots.map((snapshot) => snapshot.name),
    frames: run.frames.length,
    writes: run.k.mem.journal.length,
    failed: await check(options),
  }

  async function check({ output, runCommand }: RecordFileOptions): Promise<readonly Problem[]> {
    if (runCommand === undefined || scenario.expect.length === 0) return []
    const target = await openTarget(output)
    try {
      return await checkExpectations(run, target, runCommand)
    } finally {
      target.close()
    }
  }
}

/** Before minutes of work, not after. */
function refuseDirectory(output: string): void {
  if (existsSync(output) && statSync(output).isDirectory()) {
    throw new DumpError('UNWRITABLE', output, -1, 'cannot write: is a directory')
  }
}
