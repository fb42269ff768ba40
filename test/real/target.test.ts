/** Real vmcores opened: symbols equal /proc/kallsyms, tasks equal what genuine crash listed, pages equal across formats. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { hexFull, toAddr } from '../../src/base/addr.ts'
import { openTarget, type Target } from '../../src/target/target.ts'
import { openContainer } from '../../src/vmcore/open.ts'
import { dumpPath, hasReal, oracle, realFolder, type DumpName } from './dumps.ts'

/** Pids on the list of all processes, init_task's own left out. */
function pids(target: Target): number[] {
  const { types, mem } = target
  const tasks = types.offsetof('task_struct', 'tasks')
  const head = target.symVa('init_task') + tasks
  const found: number[] = []
  for (let at = mem.pointer(head); at !== head; at = mem.pointer(at))
    found.push(mem.u32(at - tasks + types.offsetof('task_struct', 'pid')))
  return found.sort((a, b) => a - b)
}

/** What crash's `ps -G` printed: a row for each thread group. */
function crashPids(dump: DumpName): number[] {
  const text =
    oracle(dump)
      .find((entry) => entry.command === 'ps -G')
      ?.expected() ?? ''
  const rows = text.split('\n').slice(1)
  const all = rows.map((row) => Number(row.slice(1).trim().split(/\s+/)[0])).filter((pid) => pid > 0)
  return all.sort((a, b) => a - b)
}

describe.skipIf(!hasReal)('a real vmcore', () => {
  test('kernel and module symbols are those of /proc/kallsyms', async () => {
    const target = await openTarget(dumpPath('dev'))
    const text = gunzipSync(readFileSync(join(realFolder ?? '', 'dev/kallsyms.txt.gz'))).toString('latin1')
    const expected = text.trimEnd().split('\n')
    const line = (s: { va: number; type: string; name: string; module?: string }): string =>
      `${hexFull(toAddr(s.va))} ${s.type} ${s.name}${s.module === undefined ? '' : `\t[${s.module}]`}`
    const kernel = [...target.symbols.kernel()].map(line)
    expect(kernel).toEqual(expected.filter((l) => !l.includes('\t[')))
    // /proc/kallsyms shows exported symbols of modules in upper case; the module's own table does not.
    const lower = (l: string): string => l.replace(/ [A-Z] /, (type) => type.toLowerCase())
    const modules = target.symbols.modules.flatMap((m) => m.symbols.map(line)).map(lower)
    const wanted = expected.filter((l) => l.includes('\t[')).map(lower)
    expect(modules.sort()).toEqual(wanted.sort())
  })

  test.each(['dev', 'panic'] as const)('%s: the tasks are those crash listed', async (dump) => {
    const target = await openTarget(dumpPath(dump))
    expect(target.object('init_task').$array('comm').$string()).toBe('swapper/0')
    expect(pids(target)).toEqual(crashPids(dump))
  })

  test('opening reads no page, and one symbol a few', async () => {
    const target = await openTarget(dumpPath('dev'))
    expect(target.container.stats.pagesRead).toBe(0)
    target.sym('init_task')
    expect(target.container.stats.pagesRead).toBeLessThan(100)
  })

  test('makedumpfile’s file holds the same pages, but for those it left out', () => {
    const whole = openContainer(dumpPath('dev')).memory
    const filtered = openContainer(join(realFolder ?? '', 'dev/mdf-c31'))
    let compared = 0
    for (const { startPfn, endPfn } of filtered.ranges) {
      for (let pfn = startPfn; pfn < endPfn; pfn += 7) {
        const page = filtered.memory.page(pfn)
        if (typeof page === 'string') continue
        const other = whole.page(pfn)
        expect(typeof other === 'string' ? other : Buffer.compare(page, other), `page ${pfn}`).toBe(0)
        compared++
      }
    }
    expect(compared).toBeGreaterThan(1000)
  })
})
