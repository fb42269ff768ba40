import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readModules } from '../../src/crash/mod-text.ts'
import { hasReal, textFolder } from './dumps.ts'
import { testParity } from './parity-suite.ts'
import { realTarget } from './parity.ts'

const OWN_SYMBOLS = 'the dump has the symbols of modules: no object file is loaded, none is listed'

testParity('mod', {
  'mod_-s_veth_tmp_realcore_w_dbg-amd64_usr_lib_debug_lib_modules_6.1.0-56-amd64_kernel_drive': OWN_SYMBOLS,
  'mod~2': OWN_SYMBOLS,
})

describe.skipIf(!hasReal)('mod --json on real dumps', () => {
  test.each(['dev', 'panic'] as const)('%s: what /proc/modules showed', async (dump) => {
    const text = readFileSync(join(textFolder(dump, 'truth'), 'proc/modules'), 'latin1')
    const expected = text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [name, size, refcount, users = '-', state, base = '', taints = ''] = line.split(' ')
        return {
          name,
          size: Number(size),
          refcount: Number(refcount),
          usedBy: users === '-' ? [] : users.split(',').filter((user) => user !== ''),
          state,
          base: BigInt(base),
          taints: taints.replace(/[()]/g, ''),
        }
      })
    const found = readModules(await realTarget(dump)).modules.map(
      ({ name, size, refcount, usedBy, state, base, taints }) => ({
        name, size, refcount, usedBy, state, base, taints,
      }), // prettier-ignore
    )
    const byBase = (a: { base: bigint }, b: { base: bigint }): number => (a.base < b.base ? -1 : 1)
    expect(found).toEqual(expected.sort(byBase))
  })
})
