/** Objects in use: files and sockets that descriptors and tables lead to; is each still allocated, and whose are its operations? */

import { toAddr, type Va } from '../../base/addr.ts'
import { CoredrillError } from '../../base/errors.ts'
import type { StructRef } from '../../btf/ref.ts'
import { for_each_file } from '../../helpers/fs.ts'
import { pfn_to_page } from '../../helpers/page.ts'
import { cache_of_pfn, compound_head } from '../../helpers/slab-address.ts'
import { cpu_slabs, free_list, slab_at, type CpuSlab } from '../../helpers/slab.ts'
import { sock_from_file, sock_kind } from '../../helpers/sock.ts'
import { task_table } from '../../helpers/tasks.ts'
import { ehash_for_each, lhash2_for_each, udp_for_each } from '../../helpers/tcp.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'
import { pointerVa } from './modules-known.ts'

const CALLBACKS = [
  'sk_state_change',
  'sk_data_ready',
  'sk_write_space',
  'sk_error_report',
  'sk_backlog_rcv',
  'sk_destruct',
]

/** @returns why there is nothing to check, if so */
export function* checkObjects(c: CheckContext): Generator<Seen, string | undefined> {
  const slabs = new FreeObjects(c)
  const seen = new Set<Va>()
  const { tasks } = task_table(c.target)
  for (const { task, pid } of tasks)
    yield* c.guard(`files of ${pid}`, function* () {
      for (const { fd, file } of for_each_file(task)) {
        if (seen.has(file.$va)) continue
        seen.add(file.$va)
        yield* c.guard(`${pid} fd ${fd}`, () => fileEntries(c, slabs, `pid ${pid} fd ${fd}`, file))
      }
    })
  const onDamage = (error: CoredrillError): void => void c.problems.push(`sockets: ${error.message}`)
  yield* c.guard('TCP sockets', function* () {
    for (const { sk } of ehash_for_each(c.target, undefined, onDamage))
      if (sock_kind(sk) === 'full') yield* once(c, seen, slabs, 'tcp ehash', sk)
    for (const sk of lhash2_for_each(c.target, undefined, onDamage))
      yield* once(c, seen, slabs, 'tcp lhash2', sk)
  })
  yield* c.guard('UDP sockets', function* () {
    for (const sk of udp_for_each(c.target, onDamage)) yield* once(c, seen, slabs, 'udp', sk)
  })
  return undefined
}

function* once(
  c: CheckContext,
  seen: Set<Va>,
  slabs: FreeObjects,
  place: string,
  sk: StructRef,
): Generator<Seen> {
  if (seen.has(sk.$va)) return
  seen.add(sk.$va)
  yield* c.guard(place, () => sockEntries(c, slabs, place, sk.$cast('sock')))
}

function* fileEntries(c: CheckContext, slabs: FreeObjects, place: string, file: StructRef): Generator<Seen> {
  yield allocated(slabs, `${place} file`, file)
  yield operations(c, `${place} f_op`, file, 'f_op')
  const socket = sock_from_file(file)
  if (socket === undefined) return
  if (socket.$int('ops') !== 0n) yield operations(c, `${place} socket.ops`, socket, 'ops')
  const sk = socket.$ref('sk')
  if (sk !== null) yield* sockEntries(c, slabs, `${place} sk`, sk)
}

function* sockEntries(c: CheckContext, slabs: FreeObjects, place: string, sk: StructRef): Generator<Seen> {
  yield allocated(slabs, place, sk)
  yield operations(c, `${place} sk_prot`, sk, '__sk_common.skc_prot')
  for (const member of CALLBACKS)
    if (sk.$has(member) && sk.$int(member) !== 0n)
      yield c.pointer(`${place} ${member}`, sk.$vaOf(member), 'tainted modules')
}

function allocated(slabs: FreeObjects, place: string, object: StructRef): Seen {
  const free = slabs.has(object.$va)
  const verdict = free ? `${object.$type.name} still referred to, and free in its slab` : 'ok'
  return { place, at: object.$addr, value: object.$addr, found: free, verdict }
}

/** A pointer to a table of operations: in the kernel's image, or in a module. */
function operations(c: CheckContext, place: string, ref: StructRef, member: string): Seen {
  const value = ref.$int(member)
  const va = pointerVa(c.target, value)
  const { kind, name, symbol, module } = c.ownerOf(value)
  const gone = Number.isNaN(va) || c.isUnmapped(va)
  const tainted = kind === 'hidden' || (kind === 'module' && module?.taints !== '')
  const verdict = gone
    ? c.nobody(value)
    : tainted
      ? `operations of module ${name} (taints ${module?.taints ?? ''})`
      : 'ok'
  return { place, at: toAddr(ref.$vaOf(member)), value, symbol, owner: name, found: gone || tainted, verdict }
}

/** Which objects are on the free lists of their slabs. */
class FreeObjects {
  readonly #c: CheckContext
  readonly #bySlab = new Map<Va, ReadonlySet<Va>>()
  readonly #cpus = new Map<Va, readonly CpuSlab[]>()

  constructor(c: CheckContext) {
    this.#c = c
  }

  /** False also where memory does not tell. */
  has(va: Va): boolean {
    try {
      const phys = this.#c.target.virtToPhys(va)
      return phys !== undefined && this.#freeAround(Math.floor(phys / 4096)).has(va)
    } catch (error) {
      if (error instanceof CoredrillError) return false
      throw error
    }
  }

  #freeAround(pfn: number): ReadonlySet<Va> {
    const { target } = this.#c
    const page = cache_of_pfn(target, pfn) === undefined ? undefined : pfn_to_page(target, pfn)
    if (page === undefined) return new Set()
    const head = compound_head(target, page.$va)
    let free = this.#bySlab.get(head)
    if (free === undefined) this.#bySlab.set(head, (free = this.#read(head)))
    return free
  }

  #read(head: Va): ReadonlySet<Va> {
    const { target } = this.#c
    const slab = slab_at(target, head)
    const cache = slab.$ref('slab_cache')
    if (cache === null) return new Set()
    let cpus = this.#cpus.get(cache.$va)
    if (cpus === undefined) this.#cpus.set(cache.$va, (cpus = [...cpu_slabs(target, cache)]))
    const objects = Number(slab.$int('objects'))
    const own = free_list(cache, pointerVa(target, slab.$int('freelist')), objects)
    const taken = cpus.filter((cpu) => cpu.slab?.$va === head).flatMap((cpu) => cpu.free)
    return new Set([...own, ...taken])
  }
}
