/** Where calls return to: the same in every build, whatever file was loaded first. */

import { expect, test } from 'vitest'
import { returnOffset } from '../../../../src/linux/arch/x86/kernel/text.ts'
import { kernelFunctions } from '../../../../src/linux/kfunc.ts'
import { bootedMachine } from '../../../support/machine.ts'

const k = bootedMachine()
const caller = kernelFunctions.find(({ kfunc }) => kfunc.name === 'schedule')?.kfunc
if (caller === undefined) throw new Error('no schedule()')

test('the number of a function does not matter, its name and that of what it calls do', () => {
  const at = returnOffset(k, caller, 'one', 4096)
  expect(returnOffset(k, { ...caller, id: caller.id + 1 }, 'one', 4096)).toBe(at)
  expect(returnOffset(k, { ...caller, name: 'schedule_timeout' }, 'one', 4096)).not.toBe(at)
  expect(returnOffset(k, caller, 'two', 4096)).not.toBe(at)
})

test.each([16, 64, 4096])('of %i bytes: behind a call, and inside of the function', (size) => {
  const at = returnOffset(k, caller, 'one', size)
  expect(at).toBeGreaterThan(5)
  expect(at).toBeLessThan(size)
})
