import { expect, test } from 'vitest'
import Btop from '../../../commands/btop.ts'
import Ptob from '../../../commands/ptob.ts'
import Ptov from '../../../commands/ptov.ts'
import { hex, toAddr, type Va } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { vmAnswer, type VmOptions } from '../../../src/crash/vm-text.ts'
import type { TaskContext } from '../../../src/helpers/tasks.ts'
import type { Walk } from '../../../src/target/page-table.ts'
import { DataTarget } from '../../support/data-target.ts'

const walkOf = (phys: number | undefined, reason?: Walk['reason']): Walk => ({
  entries: [],
  phys,
  pageSize: 4096,
  reason,
})

/** A task with two VMAs of three pages: the first page is in memory, of the last the page table is missing. */
function machine() {
  const k = new DataTarget()
  const mm: StructRef = k.make('mm_struct')
  mm.$set('total_vm', 3n)
  mm.$set('pgd', 0xffff888001000000n)
  mm.$set('rss_stat.count[1].counter', 1n)
  const vma = (start: number, end: number, flags: bigint): StructRef => {
    const made: StructRef = k.make('vm_area_struct')
    made.$set('vm_start', BigInt(start))
    made.$set('vm_end', BigInt(end))
    made.$set('vm_flags', flags)
    return made
  }
  const vmas = [vma(0x400000, 0x402000, 0x75n), vma(0x7ffd0f13c000, 0x7ffd0f13d000, 0x173n)] as const
  const leaf = k.room(256, 256)
  const slots = [[0x3fffffn, 0n], [0x401fffn, vmas[0].$addr], [0x7ffd0f13bfffn, 0n], [0x7ffd0f13cfffn, vmas[1].$addr]] as const // prettier-ignore
  slots.forEach(([pivot, value], i) => {
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'pivot') + i * 8, pivot)
    k.mem.setU64(leaf + k.types.offsetof('maple_range_64', 'slot') + i * 8, value)
  })
  mm.$set('mm_mt.ma_root', toAddr(leaf) | 0xen)
  const task: StructRef = k.make('task_struct')
  const context = { task, pid: 7, tgid: 7, cpu: 0, comm: 'zoo' } as unknown as TaskContext
  const walk = (va: Va): Walk =>
    va === 0x400000 ? walkOf(0x8149000) : walkOf(undefined, va > 0x500000 ? 'missing' : 'unmapped')
  const target = Object.assign(k.target, { memoryOf: () => ({ table: { walk } }) })
  const answer = (options: Partial<VmOptions>) =>
    vmAnswer(target, context, { show: 'vmas', mm, print: {}, ...options })
  return { k, mm, vmas, leaf, answer }
}

test('size and VMAs', () => {
  const { mm, vmas, answer } = machine()
  const { text, rows, failed } = answer({})
  const [, ...lines] = text.split('\n')
  expect(lines).toEqual([
    '       MM               PGD          RSS    TOTAL_VM',
    `${hex(mm.$addr)}  ffff888001000000    4k      12k   `,
    '      VMA           START       END     FLAGS FILE',
    `${hex(vmas[0].$addr)}     400000     402000     75 `,
    `${hex(vmas[1].$addr)} 7ffd0f13c000 7ffd0f13d000    173 `,
    '',
  ])
  expect(failed).toBe(false)
  expect(rows).toMatchObject({ pid: 7, rss_kb: 4, vmas: [{ start: 0x400000n }, { flags: 0x173n }] })
})

test('pages: in memory, not mapped, and those the dump cannot tell of', () => {
  const { answer } = machine()
  const { text, rows } = answer({ show: 'pages' })
  expect(text).toContain('VIRTUAL     PHYSICAL\n400000       8149000\n401000      (not mapped)\n')
  expect(text).toContain('7ffd0f13c000  (page table not in the dump)\n')
  expect(rows.vmas[0]?.pages).toEqual([{ virtual: 0x400000n, physical: 0x8149000n }, { virtual: 0x401000n }])
})

test('a reference leaves the VMAs that match, or nothing at all', () => {
  const { answer } = machine()
  expect(answer({ reference: '173' }).rows.vmas).toHaveLength(1)
  expect(answer({ reference: 'busybox' }).text).toBe('')
})

test('the C structs', () => {
  const { answer } = machine()
  expect(answer({ show: 'vma-structs' }).text).toMatch(/\nstruct vm_area_struct \{\n[^]*vm_end = 4202496,/)
  expect(answer({ show: 'mm-struct' }).text).toMatch(/\nstruct mm_struct \{\n[^]*total_vm = 3,/)
})

test('a tree that cannot be read is named after the size', () => {
  const { mm, answer } = machine()
  mm.$set('mm_mt.ma_root', 0xdead00000000011en)
  const { text, failed } = answer({})
  expect(failed).toBe(true)
  expect(text).toMatch(/<damaged 0x[0-9a-f]+>\n$/)
})

test('ptov, btop and ptob', async () => {
  const k = new DataTarget()
  const virtual = hex(BigInt(k.pageOffset) + 0x1000n)
  const line = 'VIRTUAL           PHYSICAL        \n'
  expect(await k.run(Ptov, 'ptov', '1000')).toBe(`${line}${virtual}  1000            \n`)
  expect(await k.run(Btop, 'btop', '512a000', '0x1fff')).toBe('512a000: 512a\n0x1fff: 1\n')
  expect((await k.report(Ptob, 'ptob', '512a')).rows).toEqual([{ given: 0x512an, result: 0x512a000n }])
  expect(await k.run(Btop, 'btop', 'xyz')).toBe('btop: invalid input: "xyz"\n')
})
