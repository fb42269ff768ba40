/** The words of insmod and rmmod. */

import { expect, test } from 'vitest'
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOEXEC, EPERM, ESRCH } from '../../../src/abi/errno.ts'
import { insmodError, insmodNoFile, rmmodError } from '../../../src/userland/kmod-text.ts'

test.each([
  [ENOEXEC, 'Invalid module format'],
  [ENOENT, 'Unknown symbol in module'],
  [ESRCH, 'Module has wrong symbol version'],
  [EINVAL, 'Invalid parameters'],
  [EEXIST, 'File exists'],
  [EPERM, 'Operation not permitted'],
])('insmod: errno %i is %s', (error, text) => {
  expect(insmodError('./nsys.ko', error)).toBe(`insmod: ERROR: could not insert module ./nsys.ko: ${text}`)
})

test('insmod: no such file', () => {
  expect(insmodNoFile('x.ko', ENOENT)).toBe(
    'insmod: ERROR: could not load module x.ko: No such file or directory',
  )
})

test.each([
  ['absent' as const, 'Module x is not currently loaded'],
  ['in use' as const, 'Module x is in use'],
  [{ users: ['a', 'b'] }, 'Module x is in use by: a b'],
  [EBUSY, 'could not remove module x: Device or resource busy'],
])('rmmod: %j', (problem, text) => {
  expect(rmmodError('x', problem)).toBe(`rmmod: ERROR: ${text}`)
})
