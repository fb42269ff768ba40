/** `-R` of files, vm and net: a reference that fits nothing is a failure, as a word that names no task is. */

import { expect, test } from 'vitest'
import { Session } from '../../../src/crash/session.ts'
import { recordedTarget, taskOf } from '../../support/recorded.ts'

/** @returns the text, and whether the exit status is 1 */
async function answer(name: string, ...words: string[]): Promise<{ text: string; failed: boolean }> {
  const report = await new Session(recordedTarget('lsm-recvmsg')).report(name, words, () => undefined)
  const text = typeof report.text === 'string' ? report.text : [...report.text].join('')
  return { text, failed: report.failed === true }
}

/** Its pid: a task with sockets. */
async function ncat(): Promise<string> {
  const { text } = await answer('ps', '-H', 'ncat')
  return /\d+/.exec(text)?.[0] ?? ''
}

test.each([
  ['files', ['-R', 'no-such-path']],
  ['vm', ['-R', 'no-such-path']],
  ['net', ['-s', '-R', '77']],
  ['net', ['-S', '-R', 'ffff888000000040']],
])('%s %j: nothing, and a failure', async (name, words) => {
  const { text, failed } = await answer(name, ...words, await ncat())
  // crash ends a process named by pid with a blank line, shown or not
  expect(text.trim()).toBe('')
  expect(failed).toBe(true)
})

test.each([
  ['files', ['-R', 'SOCK']],
  ['vm', ['-R', 'ncat']],
  ['net', ['-s', '-R', '3']],
])('%s %j: what it fits, and no failure', async (name, words) => {
  const { text, failed } = await answer(name, ...words, await ncat())
  expect(text).toContain('COMMAND: "ncat"')
  expect(failed).toBe(false)
})

test('of several tasks one that fits is enough', async () => {
  expect(taskOf(recordedTarget('lsm-recvmsg'), 2)).toBeDefined()
  const both = await answer('files', '-R', 'SOCK', '2', await ncat())
  expect(both.text.match(/COMMAND:/g)).toHaveLength(1)
  expect(both.failed).toBe(false)
  expect((await answer('files', '-R', 'SOCK', '2')).failed).toBe(true)
})

test('foreach: one task that fits is enough, none is a failure', async () => {
  expect((await answer('foreach', 'files', '-R', 'SOCK')).failed).toBe(false)
  expect(await answer('foreach', 'files', '-R', 'no-such-path')).toEqual({ text: '', failed: true })
})

test('a word that names no task is a failure whatever fits', async () => {
  expect((await answer('files', '-R', 'SOCK', await ncat(), '4242')).failed).toBe(true)
})
