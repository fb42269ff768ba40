/** One scenario, run as a test: recorded, its expectations checked, its story and memory compared with the golden record. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CoredrillError } from '../base/errors.ts'
import { openTargetSync } from '../target/target.ts'
import { writeCdump } from '../vmcore/cdump/write.ts'
import { checkExpectations, expectationError, type CommandRunner } from '../scenario/expect.ts'
import { ScenarioError } from '../scenario/problem.ts'
import { loadModuleFiles, withModuleFiles } from '../scenario/module-files.ts'
import { readScenario, scenarioName } from '../scenario/record-file.ts'
import { recordScenario } from '../scenario/recorder.ts'
import { compare, differenceText, keptSnapshots } from './compare.ts'
import { readGolden, textOf, writeGolden } from './golden.ts'
import { storyOf } from './story.ts'

export interface TestOptions {
  /** write the golden record anew instead of comparing with it */
  readonly update: boolean
  /** instead of the scenario's own seed: the golden record is of that seed, so only expectations are checked */
  readonly seed?: string | undefined
  /** where the dump of a scenario that failed is kept; nowhere when left out */
  readonly keep?: string | undefined
  /** may scenarios load modules of their own? */
  readonly allowModules?: boolean | undefined
}

export type Outcome = 'passed' | 'failed' | 'broken' | 'updated' | 'new'

/** How a scenario came out; plain data, so that it passes between threads. */
export interface TestResult {
  readonly file: string
  readonly title: string
  /**
   * `passed`; `failed`: it came out otherwise; `broken`: it could not be run; `updated`: its golden record was written;
   * `new`: it has none, its expectations hold
   */
  readonly outcome: Outcome
  /** expectations that were checked */
  readonly expectations: number
  /** what is wrong, for people; empty when nothing is */
  readonly problems: string
  /** the dump that was kept */
  readonly dump: string | undefined
}

/** Test one scenario. Whatever goes wrong with it is its result. */
export async function testScenario(
  file: string,
  options: TestOptions,
  answer: CommandRunner,
): Promise<TestResult> {
  const failed = (outcome: Outcome, problems: string): TestResult => ({
    ...{ file, title: '', outcome, expectations: 0, problems, dump: undefined },
  })
  try {
    return await test(file, options, answer)
  } catch (error) {
    if (error instanceof ScenarioError) return failed('broken', error.text)
    if (error instanceof CoredrillError) return failed('broken', `${error.message}\n`)
    throw error
  }
}

async function test(file: string, options: TestOptions, answer: CommandRunner): Promise<TestResult> {
  const name = scenarioName(file)
  const scenario = readScenario(file, options.seed)
  await loadModuleFiles(file, scenario, options.allowModules === true)
  const recording = withModuleFiles(file, scenario, () =>
    recordScenario(scenario, { name, createdBy: 'coredrill test' }),
  )
  const scratch = mkdtempSync(join(tmpdir(), 'coredrill-test-'))
  const path = join(scratch, `${name}.cdump`)
  writeCdump(path, recording.dump)
  const target = openTargetSync(path)
  try {
    const unmet = await checkExpectations(recording.run, target, answer)
    const wrong = unmet.length === 0 ? '' : expectationError(scenario, unmet).text
    const { outcome, problems } = await against(wrong)
    const dump = outcome === 'failed' && options.keep !== undefined ? keep(options.keep) : undefined
    return { file, title: scenario.title, outcome, expectations: scenario.expect.length, problems, dump }
  } finally {
    target.close()
    rmSync(scratch, { recursive: true })
  }

  /** @param wrong  expectations that are not met, as text: a golden record never makes up for them */
  async function against(wrong: string): Promise<{ outcome: Outcome; problems: string }> {
    if (options.seed !== undefined) return { outcome: wrong === '' ? 'passed' : 'failed', problems: wrong }
    const text = textOf(file, await storyOf(recording, target, answer))
    if (options.update && wrong === '') return { outcome: update(text) ? 'updated' : 'passed', problems: '' }
    const golden = readGolden(file)
    if (golden === undefined) return { outcome: wrong === '' ? 'new' : 'failed', problems: wrong }
    const difference = compare(name, golden, text, target)
    if (difference === undefined && wrong === '') return { outcome: 'passed', problems: '' }
    return {
      outcome: 'failed',
      problems: `${wrong}${difference === undefined ? '' : differenceText(difference)}`,
    }
  }

  /** @returns was there anything to write? */
  function update(text: string): boolean {
    if (readGolden(file)?.text === text) return false
    writeGolden(file, { text, snapshots: keptSnapshots(target) })
    return true
  }

  function keep(folder: string): string {
    mkdirSync(folder, { recursive: true })
    const kept = join(folder, `${name}.cdump`)
    writeCdump(kept, recording.dump)
    return kept
  }
}
