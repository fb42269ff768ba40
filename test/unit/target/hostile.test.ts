/**
 * A kernel's memory, damaged: VMCOREINFO, page tables, kallsyms, BTF, module and task structures with cycles.
 * COREDRILL_FUZZ=N gives N cases of each.
 */

import { expect, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { targetOf, type Target } from '../../../src/target/target.ts'
import type { Container } from '../../../src/vmcore/container.ts'
import { endsWell, fuzzCases, mutate } from '../../support/mutate.ts'
import { TinyKernel, type TinyMode } from '../../support/tiny-kernel.ts'

const IMAGE = 0x1400000
const kernels = new Map<TinyMode, TinyKernel>()

function kernel(mode: TinyMode): TinyKernel {
  let made = kernels.get(mode)
  if (made === undefined) kernels.set(mode, (made = new TinyKernel(mode)))
  return made
}

/** The kernel's memory with one stretch of it damaged. */
function damaged(mode: TinyMode, random: Random, from: number, to: number): Container {
  const made = kernel(mode)
  const changed = new Map<number, Uint8Array>()
  const stretch = new Uint8Array(to - from)
  const pfns = Array.from({ length: (to - from) / 4096 }, (_, i) => from / 4096 + i)
  pfns.forEach((pfn, i) => stretch.set(made.pages.get(pfn) ?? new Uint8Array(4096), i * 4096))
  mutate(stretch, random)
  pfns.forEach((pfn, i) => {
    if (made.pages.has(pfn)) changed.set(pfn, stretch.subarray(i * 4096, (i + 1) * 4096))
  })
  return containerOf(made, changed, made.vmcoreinfo)
}

function containerOf(made: TinyKernel, changed: ReadonlyMap<number, Uint8Array>, text: string): Container {
  return {
    format: 'elf',
    path: 'hostile',
    memory: { pageSize: 4096, page: (pfn) => changed.get(pfn) ?? made.pages.get(pfn) ?? 'missing' },
    ranges: [{ startPfn: 0, endPfn: 8192 }],
    notes: [],
    vmcoreinfo: text,
    wordSize: made.wordSize,
    history: undefined,
    warnings: [],
    stats: { pagesRead: 0, bytesRead: 0 },
    close: () => undefined,
  }
}

/** Each question by itself: one that fails must not hide the next. */
const QUESTIONS: readonly ((target: Target) => unknown)[] = [
  (t) => t.symVa('schedule'),
  (t) => t.symbolize(t.symVa('_stext') + 0x1005),
  (t) => t.symbols.findAll('local'),
  (t) => t.symbols.modules.map((m) => [m.name, t.symbols.lookup(m.va)]),
  (t) => t.symVa('tiny_init'),
  (t) => t.object('init_task').$array('comm').$string(),
  (t) => t.types.sizeof('sock'),
  (t) => t.types.offsetof('sock', '__sk_common.skc_state'),
  (t) => t.types.struct('task_struct'),
  (t) => t.object('prb'),
  (t) => t.cpus().map((cpu) => t.perCpu('runqueues', cpu)),
  (t) => t.walk(t.symVa('init_task')),
  (t) => t.readUser(t.ref('task_struct', t.symVa('second_task')), 0x400000, 9),
]

function ask(seed: string, container: Container): void {
  let target: Target | undefined
  endsWell(seed, () => (target = targetOf(container)))
  const opened = target
  if (opened !== undefined)
    QUESTIONS.forEach((question, i) => endsWell(`${seed}, question ${i}`, () => void question(opened)))
}

test('what is asked below has answers', () => {
  const target = targetOf(containerOf(kernel('x86_64'), new Map(), kernel('x86_64').vmcoreinfo))
  for (const question of QUESTIONS) expect(question(target)).toBeDefined()
})

test.each<[string, TinyMode, number, number, number]>([
  ['kallsyms', 'x86_64', 0x100000, 0x102000, 300],
  ['kallsyms of i386', 'i386', 0x100000, 0x102000, 100],
  ["BTF's header and first types", 'x86_64', 0x400000, 0x401000, 60],
  ['BTF', 'x86_64', 0x400000, 0x500000, 60],
  ['page tables', 'x86_64', 0x600000, 0x60d000, 300],
  ['page tables of PAE', 'i386-pae', 0x600000, 0x604000, 100],
  ['tasks and lists', 'x86_64', 0x620000, 0x62d000, 300],
])(
  'damaged %s: answers or errors',
  (name, mode, from, to, usual) => {
    for (let i = 0; i < fuzzCases(usual); i++)
      ask(`${name} ${i}`, damaged(mode, new Random(`${name} ${i}`), IMAGE + from, IMAGE + to))
  },
  3_600_000,
)

test('a damaged module: answers or errors', () => {
  for (let i = 0; i < fuzzCases(100); i++)
    ask(`module ${i}`, damaged('x86_64', new Random(`module ${i}`), 0x1003000, 0x1005000))
}, 3_600_000)

test('a top page table outside the image: answers or errors', () => {
  const made = kernel('x86_64')
  for (const at of ['ffff888000010000', 'ffffc90000000000', 'fffffffffffff000', '7fff00000000']) {
    const text = made.vmcoreinfo.replace(/(SYMBOL\((?:swapper_pg_dir|init_top_pgt)\)=)[0-9a-f]+/g, `$1${at}`)
    expect(text).toContain(at)
    ask(`top table at ${at}`, containerOf(made, new Map(), text))
  }
})

test('damaged VMCOREINFO: answers or errors', () => {
  const made = kernel('x86_64')
  for (let i = 0; i < fuzzCases(200); i++) {
    const bytes = Buffer.from(made.vmcoreinfo, 'latin1')
    mutate(bytes, new Random(`vmcoreinfo ${i}`))
    ask(`vmcoreinfo ${i}`, containerOf(made, new Map(), bytes.toString('latin1')))
  }
}, 3_600_000)
