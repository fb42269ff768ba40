import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addr, hex, toAddr, toUserVa, toVa } from '../../../src/base/addr.ts'
import type { CoredrillError } from '../../../src/base/errors.ts'
import { openTarget, type Target } from '../../../src/target/target.ts'
import { writeCdump } from '../../../src/vmcore/cdump/write.ts'
import { elfImage, kdumpImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { FAR_USER, TinyKernel, type TinyMode, type TinyOptions } from '../../support/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Segments of runs of pages. */
function segments(kernel: TinyKernel): { paddr: number; bytes: Uint8Array }[] {
  return [...kernel.pages].map(([pfn, bytes]) => ({ paddr: pfn * 4096, bytes }))
}

async function openElf(mode: TinyMode, options?: TinyOptions & { note?: boolean }): Promise<Target> {
  const kernel = new TinyKernel(mode, options)
  const path = join(folder, `${mode}-${JSON.stringify(options ?? {}).replace(/\W/g, '')}`)
  const notes = options?.note === false ? new Uint8Array(0) : vmcoreinfoNote(kernel.vmcoreinfo)
  writeFileSync(path, elfImage(segments(kernel), { wordSize: kernel.wordSize, notes }))
  return openTarget(path)
}

/** @param tables pages of page tables that are left out */
async function openWithoutTables(kernel: TinyKernel, tables: number): Promise<Target> {
  const path = join(folder, `${kernel.mode}-without-${tables}-tables`)
  const first = Math.floor(kernel.phys(kernel.imageVa + 0x600000) / 4096)
  const excluded = new Set(Array.from({ length: tables }, (_, i) => first + i))
  writeFileSync(path, kdumpImage(kernel.pages, { excluded, notes: vmcoreinfoNote(kernel.vmcoreinfo) }))
  return openTarget(path)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error as CoredrillError).code,
  )
}

describe.each(['x86_64', 'x86_64-la57', 'i386', 'i386-pae'] as const)('a %s kernel', (mode) => {
  let target: Target
  beforeAll(async () => {
    target = await openElf(mode)
  })

  test('opening reads no page, but for what tells PAE from its absence, and where five levels put their regions', () => {
    const { pagesRead } = target.container.stats
    if (mode === 'x86_64-la57') expect(pagesRead).toBeLessThan(16)
    else expect(pagesRead).toBe(mode === 'i386' ? 1 : 0)
  })

  test('its paging mode is found', () => {
    expect(target.space.mode).toBe(mode)
    expect(target.wordSize).toBe(mode.startsWith('x86_64') ? 8 : 4)
  })

  test('a symbol is found by name, and by an address inside it', () => {
    const va = target.symVa('schedule')
    expect(target.sym('schedule')).toBe(toAddr(va))
    expect(target.symbolize(va + 5)).toMatchObject({ name: 'schedule', offset: 5, size: 0x100, type: 'T' })
    expect(target.symbols.symbolize(va + 5)).toBe('schedule+0x5')
  })

  test('several symbols at one address: the first in the table', () => {
    expect(target.symbolize(target.symVa('_stext'))).toMatchObject({ name: '_text', offset: 0 })
  })

  test('local symbols of one name are all found', () => {
    expect(target.symbols.findAll('local').map((s) => s.va - target.symVa('schedule'))).toEqual([
      0x100, 0x110,
    ])
  })

  test('an unknown symbol names the nearest', () => {
    expect(() => target.sym('schedul')).toThrow(
      expect.objectContaining({ code: 'NO_SYMBOL', nearest: ['schedule'] }),
    )
  })

  test('a global of a known type is a typed reference', () => {
    const task = target.object('init_task')
    expect(task.$type.name).toBe('task_struct')
    expect(task.$array('comm').$string()).toBe('swapper/0')
  })

  test('a global pointer is followed', () => {
    expect(target.object('prb').$va).toBe(target.symVa('printk_rb_static'))
  })

  test('a per-CPU variable is found for each CPU', () => {
    expect(target.cpus()).toEqual([0, 1])
    const [first, second] = [0, 1].map((cpu) => target.perCpu('runqueues', cpu)) as [number, number]
    expect(second - first).toBe(0x2000)
    expect(target.perCpuObject('runqueues', 1).$va).toBe(second)
  })

  test("a module's symbols are found, its undefined ones left out", () => {
    const [module] = target.symbols.modules
    expect(module?.name).toBe('tiny')
    expect(module?.symbols.map((s) => `${s.type} ${s.name} ${s.size}`)).toEqual([
      't tiny_init 112',
      `T tiny_exit ${0x5000 - 0x80}`,
    ])
    expect(target.symbolize(target.symVa('tiny_exit') + 1)).toMatchObject({ module: 'tiny', offset: 1 })
  })

  test('memory that is not mapped faults', () => {
    const nowhere = mode.startsWith('x86_64') ? -0x1000_0000 : 0x1000
    expect(() => target.mem.u8(nowhere)).toThrow(
      expect.objectContaining({ code: 'FAULT', reason: 'unmapped' }),
    )
    expect(target.symbolize(0x123456)).toBeUndefined()
  })
})

describe('a 64-bit kernel', () => {
  test('a user page is read through the task', async () => {
    const target = await openElf('x86_64')
    const task = target.ref('task_struct', target.symVa('second_task'))
    expect(Buffer.from(target.readUser(task, 0x400000, 9)).toString()).toBe('user page')
    const walk = target.userMemory(task)?.table.walk(0x400004)
    expect(walk).toMatchObject({ phys: 0x1900004, pageSize: 4096 })
    expect(walk?.entries.map((e) => e.level)).toEqual(['PGD', 'PUD', 'PMD', 'PTE'])
  })

  test('a kernel thread has no user memory', async () => {
    const target = await openElf('x86_64')
    expect(target.userMemory(target.object('init_task'))).toBeUndefined()
    expect(() => target.readUser(target.object('init_task'), 0x400000, 1)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
  })

  test('page tables that are not in the dump: image and direct map are read by arithmetic', async () => {
    const kernel = new TinyKernel('x86_64')
    const target = await openWithoutTables(kernel, 8)
    expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
    expect(target.mem.u8(kernel.pageOffset + 0x1900000)).toBe('u'.charCodeAt(0))
    expect(() => target.mem.u8(kernel.modulesVa)).toThrow(expect.objectContaining({ reason: 'excluded' }))
  })

  test('without a VMCOREINFO note the text is found in memory', async () => {
    const target = await openElf('x86_64', { note: false })
    expect(target.vmcoreinfo.release).toBe('6.1.0-tiny')
    expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
  })

  test('without symbols for BTF it is found by its header', async () => {
    const target = await openElf('x86_64', { hideBtf: true })
    expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
  })

  test('without kallsyms in VMCOREINFO a System.map serves', async () => {
    const kernel = new TinyKernel('x86_64')
    const target = await openElf('x86_64', { without: ['SYMBOL(kallsyms'] })
    const lines = kernel.symbols.map(
      (s) => `${toAddr(s.va).toString(16).padStart(16, '0')} ${s.type} ${s.name}\n`,
    )
    const map = join(folder, 'System.map')
    writeFileSync(map, lines.join(''))
    const mapped = await openTarget(target.path, { namelist: map })
    expect(mapped.symbolize(mapped.symVa('schedule') + 1)).toMatchObject({ name: 'schedule', size: 0x100 })
    expect(mapped.object('init_task').$array('comm').$string()).toBe('swapper/0')
  })
})

describe('a kernel with five-level page tables', () => {
  test('the direct map, a gigabyte leaf, is read at its own address', async () => {
    const target = await openElf('x86_64-la57')
    expect(toAddr(target.pageOffset)).toBe(0xff11_0000_0000_0000n)
    const at = toVa(0xff11_0000_0190_0005n)
    expect(target.read(addr(0xff11_0000_0190_0005n), 4)).toEqual(Uint8Array.from(Buffer.from('page')))
    expect(target.virtToPhys(at)).toBe(0x1900005)
    expect(toAddr(at)).toBe(0xff11_0000_0190_0005n)
    expect(hex(at)).toBe('ff11000001900005')
    const walk = target.walk(at)
    expect(walk).toMatchObject({ phys: 0x1900005, pageSize: 2 ** 30 })
    expect(walk.entries.map((e) => e.level)).toEqual(['PGD', 'P4D', 'PUD'])
  })

  test('its tables left out: the direct map is read by arithmetic', async () => {
    const kernel = new TinyKernel('x86_64-la57')
    const target = await openWithoutTables(kernel, 13)
    expect(target.mem.u8(toVa(0xff11_0000_0190_0000n))).toBe('u'.charCodeAt(0))
  })

  test('user memory below and beyond 47 bits', async () => {
    const target = await openElf('x86_64-la57')
    const task = target.ref('task_struct', target.symVa('second_task'))
    expect(Buffer.from(target.readUser(task, 0x400000, 9)).toString()).toBe('user page')
    expect(Buffer.from(target.readUser(task, addr(FAR_USER), 9)).toString()).toBe('user page')
    const levels = target.userMemory(task)?.table.walk(toUserVa(FAR_USER + 4n))
    expect(levels).toMatchObject({ phys: 0x1900004 })
    expect(levels?.entries.map((e) => e.level)).toEqual(['PGD', 'P4D', 'PUD', 'PMD', 'PTE'])
  })

  test('what lies in no region has no number, and reading it faults', async () => {
    const target = await openElf('x86_64-la57')
    expect(toVa(0xff55_0000_0000_0000n)).toBeNaN()
    expect(() => target.read(addr(0xff55_0000_0000_0000n), 1)).toThrow(
      expect.objectContaining({ code: 'FAULT', reason: 'non-canonical' }),
    )
  })
})

describe('what is no target', () => {
  test('a dump without any VMCOREINFO', async () => {
    const path = join(folder, 'bare')
    writeFileSync(path, elfImage([{ paddr: 0, bytes: new Uint8Array(4096) }]))
    expect(await codeOf(openTarget(path))).toBe('BAD_FORMAT')
  })

  test('a vmcore has no snapshots', async () => {
    const { path, snapshots } = await openElf('x86_64')
    expect(snapshots).toEqual([])
    expect(await codeOf(openTarget(path, { at: 'syn' }))).toBe('NO_SNAPSHOT')
  })
})

describe('a dump with history', () => {
  const path = join(folder, 'history.cdump')
  beforeAll(() => {
    const kernel = new TinyKernel('x86_64')
    const before = new Map([...kernel.pages].map(([pfn, page]) => [pfn, page.slice()]))
    const comm = kernel.symbols.find((s) => s.name === 'init_task')?.va ?? 0
    kernel.string(comm + kernel.types.offsetof('task_struct', 'comm'), 'renamed')
    const changed = [...kernel.pages].filter(
      ([pfn, page]) => Buffer.compare(page, before.get(pfn) ?? page) !== 0,
    )
    writeCdump(path, {
      header: {
        profile: 'tiny',
        release: '6.1.0-tiny',
        machine: 'x86_64',
        wordSize: 8,
        memorySize: kernel.memorySize,
        createdBy: 'test',
        seed: 1,
        scenarioName: 'tiny',
      },
      vmcoreinfo: kernel.vmcoreinfo,
      snapshots: [
        { name: 'boot', step: 0, timeNs: 0n, parent: null, pages: before },
        { name: 'after', step: 4, timeNs: 10n, parent: 0, pages: changed },
      ],
      sections: new Map([['scenario', Buffer.from('steps: []')]]),
    })
  })
  const comm = (target: Target): string => target.object('init_task').$array('comm').$string()

  test('the last snapshot is shown by default', async () => {
    const target = await openTarget(path)
    expect(comm(target)).toBe('renamed')
    expect(target.snapshot).toEqual({ name: 'after', step: 4, timeNs: 10n })
  })

  test.each([
    ['boot', 'swapper/0'],
    ['after', 'renamed'],
    ['0', 'swapper/0'],
    ['3', 'swapper/0'],
    ['9', 'renamed'],
  ])('at %s: %s', async (at, expected) => {
    expect(comm(await openTarget(path, { at }))).toBe(expected)
  })

  test('another snapshot of an opened target shares its types', async () => {
    const target = await openTarget(path)
    const earlier = target.at('boot')
    expect([comm(target), comm(earlier)]).toEqual(['renamed', 'swapper/0'])
    expect(earlier.types).toBe(target.types)
    expect(() => target.at('never')).toThrow(expect.objectContaining({ code: 'NO_SNAPSHOT' }))
  })

  test('sections are handed out', async () => {
    const target = await openTarget(path)
    expect(Buffer.from(target.section('scenario') ?? []).toString()).toBe('steps: []')
    expect(target.section('journal')).toBeUndefined()
  })
})
