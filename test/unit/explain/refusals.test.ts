/** A refusal is told of the socket the hook was asked about, and of no other of the same task. */

import { expect, test } from 'vitest'
import { explainDescriptor } from '../../../src/explain/explain.ts'
import { recordedTarget, taskOf } from '../../support/recorded.ts'

const refusalsAt = (fd: number): string[] => {
  const target = recordedTarget('lsm-recvmsg', 'blocked')
  return explainDescriptor(target, taskOf(target, 700), fd).refusals.map(({ hook }) => hook)
}

test('the connection whose recvmsg was refused says so', () => {
  expect(refusalsAt(4)).toEqual(['socket_recvmsg'])
})

test('the listener of the same task does not', () => {
  expect(refusalsAt(3)).toEqual([])
})
