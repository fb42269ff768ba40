import { expect, test } from 'vitest'
import { ValidationError } from '../../../src/base/errors.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

test('a struct inside another lies at its offset', () => {
  const task = new FlatKernel().make('task_struct')
  expect(task.$inside('thread_info').$va).toBe(task.$va + task.$offsetof('thread_info'))
})

test('where BTF has a pointer instead of a struct, and that is NULL, it is damage', () => {
  const task = new FlatKernel().make('task_struct')
  expect(() => task.$inside('mm')).toThrow(ValidationError)
})
