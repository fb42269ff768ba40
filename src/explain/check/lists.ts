/** The kernel's own lists: does every link lead back? */

import { toAddr, type Va } from '../../base/addr.ts'
import { for_each_net } from '../../helpers/net.ts'
import { validate_list } from '../../structures/list.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'

const HEADS = [
  'modules',
  'super_blocks',
  'net_namespace_list',
  'slab_caches',
  'vmap_area_list',
  'btf_modules',
  'pernet_list',
  'ptype_all',
  'inetsw',
  'ftrace_trace_arrays',
]

/** @returns why there is nothing to check, if so */
export function* checkLists(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, types } = c.target
  for (const name of HEADS) {
    const head = symbols.findKernel(name)
    if (head !== undefined) yield* c.guard(name, () => list(c, name, head.va))
  }
  const init = symbols.findKernel('init_task')
  if (init !== undefined) {
    const tasks = init.va + types.offsetof('task_struct', 'tasks')
    yield* c.guard('tasks', () => list(c, 'init_task.tasks', tasks))
  }
  yield* c.guard('net_device', () => devices(c))
  yield* c.guard('mounts', () => mounts(c))
  return undefined
}

function* devices(c: CheckContext): Generator<Seen> {
  let number = 0
  for (const net of for_each_net(c.target))
    yield* list(c, `net_namespace_list[${number++}].dev_base_head`, net.$vaOf('dev_base_head'))
}

function* mounts(c: CheckContext): Generator<Seen> {
  const init = c.target.symbols.findKernel('init_task')
  if (init === undefined || !c.target.types.has('mnt_namespace', 'list')) return
  const ns = c.target.ref('task_struct', init.va).$ref('nsproxy')?.$ref('mnt_ns') ?? null
  if (ns !== null) yield* list(c, 'init_task.nsproxy->mnt_ns->list', ns.$vaOf('list'))
}

const WORDS = {
  unreadable: 'the next link cannot be read',
  'bad next': 'the next link is no address',
  'bad prev': 'does not point back at the link that leads here',
  loop: 'leads to a link before it, not to the head',
  'too long': 'does not end',
} as const

function* list(c: CheckContext, name: string, head: Va): Generator<Seen> {
  const { mem } = c.target
  const first = mem.word(head)
  // not set up on this kernel
  if (first === 0n) return
  const { count, faults } = validate_list(mem, head)
  if (faults.length === 0) {
    yield { place: `${name} (${count})`, at: toAddr(head), value: first, verdict: 'ok' }
  }
  for (const { node, problem, error } of faults) {
    const out = error !== undefined && error.reason !== 'unmapped' && error.reason !== 'non-canonical'
    // what the dump left out is no fault of the list
    if (out) c.problems.push(`${name}: ${error.message}`)
    else {
      const at = problem === 'bad prev' ? node + mem.wordSize : node
      yield { place: name, at: toAddr(at), value: c.isUnmapped(at) ? 0n : mem.word(at), found: true, verdict: WORDS[problem] } // prettier-ignore
    }
  }
}
