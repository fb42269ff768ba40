import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addr, hex } from '../../../src/base/addr.ts'
import { kernelVtop, userVtop } from '../../../src/crash/vtop-text.ts'
import { openTarget, type Target } from '../../../src/target/target.ts'
import { elfImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { TinyKernel, type TinyMode } from '../../support/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'vtop-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

async function open(mode: TinyMode): Promise<Target> {
  const kernel = new TinyKernel(mode)
  const segments = [...kernel.pages].map(([pfn, bytes]) => ({ paddr: pfn * 4096, bytes }))
  const path = join(folder, mode)
  const notes = vmcoreinfoNote(kernel.vmcoreinfo)
  writeFileSync(path, elfImage(segments, { wordSize: kernel.wordSize, notes }))
  return openTarget(path)
}

describe.each(['x86_64', 'i386', 'i386-pae'] as const)('a %s kernel', (mode) => {
  let target: Target
  beforeAll(async () => {
    target = await open(mode)
  })

  test('a mapped address: its physical one, the tables down to the entry, its flags', () => {
    const va = target.symVa('schedule')
    const { text, rows, failed } = kernelVtop(target, va, true)
    const physical = hex(target.virtToPhys(va) ?? 0)
    const lines = text.split('\n')
    expect(failed).toBe(false)
    expect(lines[1]?.trimEnd().split(/ +/)).toEqual([hex(addr(va)), physical])
    expect(lines[3]).toBe(`PGD DIRECTORY: ${hex(target.sym('swapper_pg_dir'))}`)
    expect(text).toMatch(/\n {2}PAGE: [0-9a-f]+( {2}\(\dMB\))?\n\n *PTE/)
    expect(text).toMatch(/\(PRESENT\|/)
    expect(rows).toMatchObject({ space: 'kernel', physical: BigInt(`0x${physical}`) })
  })

  test('an address that no table maps', () => {
    const va = target.wordSize === 8 ? -0x1000_0000_0000 : 0xfff0_0000
    const { text, rows, failed } = kernelVtop(target, va, true)
    expect(failed).toBe(true)
    expect(text).toContain('(not mapped)')
    expect(text).not.toContain('PTE  ')
    expect(rows.physical).toBeUndefined()
  })

  test('a task without user memory', () => {
    const task = target.ref('task_struct', target.symVa('init_task'))
    const { text, rows } = userVtop(target, task, 0x400000, true)
    expect(text).toBe('VIRTUAL     PHYSICAL        \n400000      (not accessible)\n\n')
    expect(rows).toMatchObject({ space: 'user', accessible: false })
  })
})
