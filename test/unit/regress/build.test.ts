/** `coredrill test` as it is installed: side by side, in any order, and with a constant of the kernel broken. */

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { TestResult } from '../../../src/regress/run-one.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const bin = join(root, 'bin/run.js')
const NAMES = ['handshake', 'lsm-recvmsg', 'reset-and-timewait'] as const

// several processes, each recording several scenarios
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

let folder: string
const paths = (names: readonly string[]): string[] => names.map((name) => join(folder, `${name}.yaml`))
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'coredrill-build-'))
  for (const name of NAMES) cpSync(join(root, 'scenarios', `${name}.yaml`), join(folder, `${name}.yaml`))
  execFileSync(process.execPath, [bin, 'test', ...paths(NAMES), '--update'])
})
afterAll(() => rmSync(folder, { recursive: true }))

function results(args: readonly string[], fault?: string): { status: number | null; results: TestResult[] } {
  const node = fault === undefined ? [] : ['--import', join(root, 'test/support/fault.mjs')]
  const env = { ...process.env, ...(fault !== undefined && { COREDRILL_FAULT: fault }) }
  const child = spawnSync(process.execPath, [...node, bin, 'test', ...args, '--reporter', 'json'], { env })
  return { status: child.status, results: JSON.parse(child.stdout.toString()) as TestResult[] }
}

test('any order, any number of threads: the same results', () => {
  const one = results([...paths(NAMES), '--jobs', '1'])
  const many = results([...paths(NAMES).reverse(), '--jobs', '3'])
  expect(one.status).toBe(0)
  expect(one.results.map(({ outcome }) => outcome)).toEqual(['passed', 'passed', 'passed'])
  expect(many.results.reverse()).toEqual(one.results)
})

test('one constant of TCP broken: it fails, and names member, object and writer', () => {
  const { status, results: found } = results(paths(NAMES), 'abi/tcp.js:TCP_INIT_CWND=11')
  expect(status).toBe(1)
  const [{ outcome, problems }] = found as [TestResult]
  expect(outcome).toBe('failed')
  expect(problems).toMatch(/^PID 510 "ncat" fd 3 sock \(tcp_sock\) differs at listening\n +snd_cwnd +10 -> 11 +by tcp_init_sock, step \d+$/m) // prettier-ignore
})

test('--bail stops after the first', () => {
  const { status, results: found } = results([...paths(NAMES), '--bail', '--jobs', '1'], 'abi/tcp.js:TCP_INIT_CWND=11')
  expect([status, found.length]).toEqual([1, 1])
}) // prettier-ignore

test('nothing to test is a mistake on the command line', () => {
  const child = spawnSync(process.execPath, [bin, 'test', folder, '--filter', 'none-of-them'])
  expect([child.status, child.stderr.toString()]).toEqual([2, `test: no scenario: ${folder} has none with none-of-them\n`])
}) // prettier-ignore
