/** Scenarios tested side by side: each thread takes the next file; results come in whatever order they are done. */

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { InvariantError } from '../base/errors.ts'
import type { CommandRunner } from '../scenario/expect.ts'
import { testScenario, type TestOptions, type TestResult } from './run-one.ts'

export interface PoolOptions extends TestOptions {
  readonly jobs: number
  /** stop handing out scenarios after the first that failed */
  readonly bail: boolean
  /** told of each scenario as its result is there */
  readonly onResult: (result: TestResult) => void
}

/** What a thread is told: test this file. */
export interface Order {
  readonly file: string
  readonly options: TestOptions
}

/** More threads than that do not end sooner. */
export const defaultJobs = (): number => Math.max(1, Math.min(8, availableParallelism()))

/**
 * Test scenarios, and give their results in the order of the files.
 * @param answer  answers crash commands when no thread is needed
 */
export async function testAll(
  files: readonly string[],
  options: PoolOptions,
  answer: CommandRunner,
): Promise<TestResult[]> {
  const results = new Map<string, TestResult>()
  const queue = [...files]
  const take = (): string | undefined =>
    options.bail && [...results.values()].some(isFailure) ? undefined : queue.shift()
  const done = (result: TestResult): void => {
    results.set(result.file, result)
    options.onResult(result)
  }
  const jobs = Math.min(options.jobs, files.length)
  // options go to threads as they are: functions cannot
  const { update, seed, keep, allowModules } = options
  if (jobs <= 1)
    await alone(take, (file) => testScenario(file, { update, seed, keep, allowModules }, answer), done)
  else
    await Promise.all(
      Array.from({ length: jobs }, () => inThread(take, { update, seed, keep, allowModules }, done)),
    )
  return files.flatMap((file) => results.get(file) ?? [])
}

export const isFailure = ({ outcome }: TestResult): boolean => outcome === 'failed' || outcome === 'broken'

async function alone(
  take: () => string | undefined,
  test: (file: string) => Promise<TestResult>,
  done: (result: TestResult) => void,
): Promise<void> {
  for (let file = take(); file !== undefined; file = take()) done(await test(file))
}

/** One thread, fed until nothing is left. */
function inThread(
  take: () => string | undefined,
  options: TestOptions,
  done: (result: TestResult) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    const next = (): void => {
      const file = take()
      if (file === undefined) void worker.terminate().then(() => resolve())
      else worker.postMessage({ file, options } satisfies Order)
    }
    worker.on('message', (result: TestResult) => {
      done(result)
      next()
    })
    worker.on('error', (error) => reject(error instanceof Error ? error : new InvariantError(String(error))))
    next()
  })
}
