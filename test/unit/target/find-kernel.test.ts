import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { hex, toAddr } from '../../../src/base/addr.ts'
import { targetOf, type Target } from '../../../src/target/target.ts'
import type { Container } from '../../../src/vmcore/container.ts'
import { openContainer } from '../../../src/vmcore/open.ts'
import { blanked, holdsVmcoreinfo, without } from '../../support/blanked.ts'
import { elfImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { TinyKernel, type TinyOptions } from '../../support/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'find-kernel-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Mode = 'x86_64' | 'x86_64-la57'

function containerOf(mode: Mode, options: TinyOptions = {}): Container {
  const kernel = new TinyKernel(mode, options)
  const path = join(folder, `${mode}-${JSON.stringify(options).replace(/\W/g, '')}`)
  const segments = [...kernel.pages].map(([pfn, bytes]) => ({ paddr: pfn * 4096, bytes }))
  writeFileSync(path, elfImage(segments, { notes: vmcoreinfoNote(kernel.vmcoreinfo) }))
  return openContainer(path)
}

/** Symbols, types, a task through a pointer of the direct map, and a module. */
function check(target: Target): void {
  expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
  expect(target.symbols.modules.map((m) => m.name)).toEqual(['tiny'])
  const task = target.ref('task_struct', target.symVa('second_task'))
  expect(Buffer.from(target.readUser(task, 0x400000, 9)).toString()).toBe('user page')
}

describe.each<Mode>(['x86_64', 'x86_64-la57'])('a %s kernel', (mode) => {
  const whole = containerOf(mode)
  const text = whole.vmcoreinfo ?? ''

  test('without SYMBOL(kallsyms_*): the tables are found by their form', () => {
    const target = targetOf(blanked(whole, { vmcoreinfo: without(text, 'SYMBOL(kallsyms') }))
    check(target)
    expect(target.symbols.count).toBe(targetOf(whole).symbols.count)
  })

  test('without a note: the text is found in memory, and progress is told', () => {
    check(targetOf(blanked(whole, {})))
  })

  test('without phys_base: it follows from the page tables', () => {
    const target = targetOf(
      blanked(whole, { vmcoreinfo: without(text, 'NUMBER(phys_base)'), zero: holdsVmcoreinfo }),
    )
    check(target)
    expect(target.physBase).toBe(0x400000)
  })

  test('with nothing but memory: image, load address and levels follow from the page tables', () => {
    const target = targetOf(blanked(whole, { zero: holdsVmcoreinfo }))
    expect(target.space.mode).toBe(mode)
    expect(target.physBase).toBe(0x400000)
    expect(target.vmcoreinfo.symbol('_stext')).toBe(toAddr(target.symVa('_stext')))
    expect(target.vmcoreinfo.symbol('swapper_pg_dir')).toBe(toAddr(target.symVa('swapper_pg_dir')))
    check(target)
  })

  test('with nothing but memory, and no symbols for BTF', () => {
    check(targetOf(blanked(containerOf(mode, { hideBtf: true }), { zero: holdsVmcoreinfo })))
  })

  test('without page_offset_base: the direct map is where it is without KASLR', () => {
    const target = targetOf(containerOf(mode, { hideBases: true }))
    expect(target.symbols.find('page_offset_base')).toBeUndefined()
    expect(hex(target.pageOffset)).toBe(mode === 'x86_64' ? 'ffff888000000000' : 'ff11000000000000')
    check(target)
  })
})

test('without page_offset_base, before 4.20: the direct map is where the page tables show themselves', () => {
  const target = targetOf(containerOf('x86_64', { hideBases: true, oldDirectMap: true }))
  expect(hex(target.pageOffset)).toBe('ffff880000000000')
  check(target)
})

describe('what has no kernel', () => {
  test('memory of noise and zeros: one error', () => {
    const noise = new Uint8Array(64 * 4096).map((_, i) => (i * 2654435761) >>> 13)
    const path = join(folder, 'noise')
    writeFileSync(path, elfImage([{ paddr: 0, bytes: noise }]))
    expect(() => targetOf(openContainer(path))).toThrow(expect.objectContaining({ code: 'BAD_FORMAT' }))
  })

  test('a kernel whose names are gone: the error says what to give', () => {
    const kernel = new TinyKernel('x86_64')
    const whole = containerOf('x86_64')
    const phys = kernel.phys(kernel.imageVa + 0x100000)
    const target = targetOf(
      blanked(whole, {
        vmcoreinfo: without(whole.vmcoreinfo ?? '', 'SYMBOL(kallsyms'),
        ranges: [{ phys, size: 0x100000 }],
      }),
    )
    expect(() => target.symbols).toThrow(/namelist/)
  })
})
