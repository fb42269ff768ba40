/** Parameters of modules: types, arrays, and what is said of words that do not fit. */

import { describe, expect, test } from 'vitest'
import { log_records } from '../../../../src/helpers/printk.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import { defineModule, moduleOf } from '../../../../src/linux/kernel/module/api.ts'
import { delete_module, load_module } from '../../../../src/linux/kernel/module/main.ts'
import { layeredMachine } from '../../../support/layered-machine.ts'
import { readerOf } from '../../../support/reader.ts'

const own = { module: 'types' }
const types_init = kfunc('types.c', function types_init() {
  return 0
}, own) // prettier-ignore
const types_exit = kfunc('types.c', function types_exit() {}, own)
const types = defineModule({
  name: 'types',
  license: 'GPL',
  imports: ['_printk'],
  params: [
    { name: 'small', type: 'short' },
    { name: 'count', type: 'uint' },
    { name: 'flag', type: 'bool' },
    { name: 'name', type: 'charp' },
    { name: 'ports', type: 'ushort', array: 3, count: 'nports' },
    { name: 'who', type: 'charp', array: 2 },
  ],
  variables: [{ name: 'nports', size: 4 }],
  init: types_init,
  exit: types_exit,
})

/** Run to the end something that does not sleep. */
function now(work: unknown): number {
  const step = (work as Generator<unknown, number>).next()
  if (step.done !== true) throw new Error('it sleeps')
  return step.value
}
const insmod = (k: Kernel, args: string): number => now(load_module(k, types, args))
const lastLine = (k: Kernel): string => [...log_records(readerOf(k))].at(-1)?.text ?? ''

describe('insmod', () => {
  test('words become variables of their type', () => {
    const k = layeredMachine()
    expect(insmod(k, 'small=-3 count=0x10 flag name="a b" ports=80,443 who=x,yz')).toBe(0)
    const me = moduleOf(k, 'types')
    expect([k.mem.u16(me.sym('small')), me.int('count'), me.bool('flag'), me.charp('name')]).toEqual([
      0xfffd,
      16,
      true,
      'a b',
    ])
    expect([k.mem.u16(me.sym('ports')), k.mem.u16(me.sym('ports') + 2), me.int('nports')]).toEqual([
      80, 443, 2,
    ])
    expect(me.charp('who')).toBe('x')
    expect(now(delete_module(k, 'types'))).toBe(0)
  })

  test.each([
    ['small=40000', -34, "types: `40000' invalid for parameter `small'"],
    ['small=x', -22, "types: `x' invalid for parameter `small'"],
    ['count=-1', -22, "types: `-1' invalid for parameter `count'"],
    ['flag=perhaps', -22, "types: `perhaps' invalid for parameter `flag'"],
    ['name', -22, "types: `' invalid for parameter `name'"],
    ['ports=1,2,3,4', -22, "types: `1,2,3,4' invalid for parameter `ports'"],
    ['ports=1,x', -22, "types: `1,x' invalid for parameter `ports'"],
  ])('%s: %i', (args, errno, line) => {
    const k = layeredMachine()
    expect(insmod(k, args)).toBe(errno)
    expect(lastLine(k)).toBe(line)
  })

  test('too many values for an array are counted', () => {
    const k = layeredMachine()
    insmod(k, 'ports=1,2,3,4')
    expect([...log_records(readerOf(k))].at(-2)?.text).toBe('ports: can only take 3 arguments')
  })
})
