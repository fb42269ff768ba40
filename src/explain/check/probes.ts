/** Kprobes and ftrace: who is called where a function begins. */

import { hex, type Va } from '../../base/addr.ts'
import type { StructRef } from '../../btf/ref.ts'
import { hlist_for_each_entry } from '../../structures/hlist.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'
import { pointerVa } from './modules-known.ts'

const BUCKETS = 64
const CHAIN_MAX = 100_000
/** KPROBE_FLAG_GONE, KPROBE_FLAG_DISABLED */
const GONE_OR_DISABLED = 3n

/** @returns why there is nothing to check, if so */
export function* checkKprobes(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, types, mem } = c.target
  const table = symbols.findKernel('kprobe_table')
  if (table === undefined || !types.has('kprobe', 'hlist')) return 'this kernel has no kprobes'
  for (let i = 0; i < BUCKETS; i++) {
    const head = table.va + i * mem.wordSize
    yield* c.guard(`kprobe_table[${i}]`, () => bucket(c, head))
  }
  return undefined
}

function* bucket(c: CheckContext, head: Va): Generator<Seen> {
  const { types, mem } = c.target
  for (const kp of hlist_for_each_entry(types, mem, head, 'kprobe', 'hlist', CHAIN_MAX)) {
    const first: StructRef = kp
    const many = c.ownerOf(first.$int('pre_handler')).symbol === 'aggr_pre_handler'
    if (!many) yield* probe(c, first)
    else
      for (const each of list_for_each_entry(types, mem, first.$vaOf('list'), 'kprobe', 'list', CHAIN_MAX))
        yield* probe(c, each)
  }
}

function* probe(c: CheckContext, kp: StructRef): Generator<Seen> {
  const address = kp.$int('addr')
  const on = c.ownerOf(address)
  const where = `kprobe on ${on.symbol ?? hex(address)}`
  const effective = (kp.$int('flags') & GONE_OR_DISABLED) === 0n
  if (on.kind === 'nobody')
    yield { place: `${where}.addr`, at: kp.$addr, value: address, owner: 'nobody', found: effective, effective, verdict: c.nobody(address) } // prettier-ignore
  for (const member of ['pre_handler', 'post_handler']) {
    if (kp.$int(member) === 0n) continue
    yield { ...c.pointer(`${where}.${member}`, kp.$vaOf(member)), effective }
  }
  if (c.ownerOf(kp.$int('pre_handler')).symbol !== 'pre_handler_kretprobe') return
  const rp = kp.$containerOf('kretprobe', 'kp')
  for (const member of ['handler', 'entry_handler'])
    if (rp.$int(member) !== 0n) yield { ...c.pointer(`${where}.${member}`, rp.$vaOf(member)), effective }
}

/** @returns why there is nothing to check, if so */
export function* checkFtrace(c: CheckContext): Generator<Seen, string | undefined> {
  const { symbols, types } = c.target
  const list = symbols.findKernel('ftrace_ops_list')
  const end = symbols.findKernel('ftrace_list_end')
  if (list === undefined || end === undefined || !types.has('ftrace_ops', 'func'))
    return 'this kernel has no ftrace_ops_list'
  yield* c.guard('ftrace_ops_list', () => ftraceOps(c, list.va, end.va))
  return undefined
}

function* ftraceOps(c: CheckContext, head: Va, end: Va): Generator<Seen> {
  const { mem } = c.target
  const seen = new Set<Va>([end, 0])
  for (let va = mem.pointer(head); !seen.has(va) && seen.size < CHAIN_MAX;) {
    seen.add(va)
    const ops: StructRef = c.target.ref('ftrace_ops', va)
    yield c.pointer(`ftrace_ops_list[${seen.size - 3}].func`, ops.$vaOf('func'))
    va = pointerVa(c.target, ops.$int('next'))
  }
}
