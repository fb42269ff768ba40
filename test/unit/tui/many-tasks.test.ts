/** 100,000 tasks: only what is seen is read. */

import { expect, test } from 'vitest'
import { manyTasks } from '../../../bench/many-tasks.js'
import { targetOf, type Target } from '../../../src/target/target.ts'
import { openBrowser } from '../../support/browser.ts'
import { recordedTarget } from '../../support/recorded.ts'

const COUNT = 100_000

interface Made {
  readonly target: Target
  /** pages made: of tasks, of xarray nodes, of page tables */
  readonly reads: { readonly tasks: number; readonly nodes: number; readonly tables: number }
}

const made = (): Made => manyTasks(recordedTarget('lsm-recvmsg'), targetOf, COUNT) as Made

test('opening, moving and paging read the tasks on the screen, and of the index what leads to them', async () => {
  const { target, reads } = made()
  const session = await openBrowser(target)
  expect(session.screen().join('\n')).toMatch(/ 3 RU worker-3 /)
  expect(reads.tasks).toBeLessThan(40)
  expect(reads.nodes).toBeLessThan(8)
  await session.press('down', 'down', 'down', 'pagedown', 'pagedown', 'pageup')
  expect(reads.tasks).toBeLessThan(150)
  expect(reads.nodes).toBeLessThan(8)
})

test('the last task needs the whole index and no other task', async () => {
  const { target, reads } = made()
  const session = await openBrowser(target)
  const before = reads.tasks
  await session.press('end')
  expect(session.screen().join('\n')).toContain('worker-100000')
  expect(session.screen().join('\n')).toContain(`Tasks ${COUNT + 2}`)
  expect(reads.tasks - before).toBeLessThan(80)
  expect(reads.nodes).toBeLessThan(COUNT / 64 + 40)
})

test('a pid is found through the index, a name by looking at tasks until the screen is full', async () => {
  const { target, reads } = made()
  const session = await openBrowser(target)
  await session.press('g', '"77777', 'enter')
  expect(session.screen().join('\n')).toContain('worker-77777')
  await session.press('g', 'escape', '/', '"worker-1', 'enter')
  expect(session.screen().join('\n')).toMatch(/Tasks \d+\+ \/worker-1/)
  expect(reads.tasks).toBeLessThan(3000)
})
