/** `explain --oops`: five lines that lead to the cause. */

import { expect, test } from 'vitest'
import { explainOops } from '../../../src/explain/oops.ts'
import { freed_modules_at } from '../../../src/helpers/freed-modules.ts'
import { toVa } from '../../../src/base/addr.ts'
import { crash, recordedTarget } from '../../support/recorded.ts'

test('hooks unloaded in the wrong order: which entry, what lay there, which order, what to write back', async () => {
  const target = recordedTarget('stacked-hooks-oops')
  const why = explainOops(target)
  const entry = target.sym('sys_call_table') + 2n * 8n
  expect(why).toMatchObject({
    address: 0xffffffffc0000000n,
    module: 'open_logger',
    holders: [{ place: 'sys_call_table[2] (open)', at: entry }],
  })
  expect(why.who).toContain('do_syscall_64')
  expect(why.why).toContain('when softice went it wrote back')
  expect(why.wayOut).toContain(`write ${target.sym('__x64_sys_open').toString(16)} (__x64_sys_open)`)
  const text = await crash(target, 'explain --oops')
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(0, line.indexOf(':'))),
  ).toEqual(['what', 'who', 'was', 'why', 'way out'])
})

test('a module unloaded under a sleeper: no table has the address, it was on the stack', () => {
  const why = explainOops(recordedTarget('rmmod-under-sleeper'))
  expect(why).toMatchObject({ module: 'fwnet', holders: [] })
  expect(why.what).toContain('tcpserv (pid 700) was returned to')
  expect(why.was).toContain('new_sys_socketcall+0x')
  expect(why.why).toContain('was unloaded while tcpserv slept')
})

test('no crash: says so', () => {
  const why = explainOops(recordedTarget('stacked-hooks-bypass', 'clean'))
  expect(why).toMatchObject({ address: null, holders: [], module: null })
  expect(why.what).toContain('no oops and no panic')
})

test('freed pages still have the struct module, until they are used again', () => {
  const target = recordedTarget('rmmod-under-sleeper', 'unloaded')
  const base = recordedTarget('rmmod-under-sleeper', 'asleep').symbols.modules.find((m) => m.name === 'fwnet')
    ?.areas[0]?.start
  const found = freed_modules_at(target, toVa(BigInt(base ?? 0), 4) + 0xd0)
  expect(found.map(({ name }) => name)).toEqual(['fwnet'])
  expect(freed_modules_at(target, 0x1000)).toEqual([])
})
