/** Modules: does every list know every one, do the counts agree, and does nothing point where one has been? */

import { hex, toAddr, toVa } from '../../base/addr.ts'
import { module_users } from '../../helpers/module.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import type { Target } from '../../target/target.ts'
import type { CheckContext } from './context.ts'
import type { Seen } from './entry.ts'
import { inModule, pointerVa, type KnownModule, type ModuleList } from './modules-known.ts'

/** MODULE_STATE_COMING, MODULE_STATE_GOING, MODULE_STATE_UNFORMED: not in every list */
const LIVE = 0n
const AREAS_MAX = 100_000
/** What TRACE_DEFINE_ENUM makes: pointers into the module's own init data, which is freed after loading. */
const FREED = /^TRACE_SYSTEM_/
/** Who asks for the memory of a module. */
const LOADERS = /^(load_module|layout_and_allocate|move_module|module_memory_alloc|module_alloc)$/

/** @returns why there is nothing to check, if so */
export function* checkModules(c: CheckContext): Generator<Seen, string | undefined> {
  for (const known of c.known.modules) {
    yield* c.guard(`module ${known.name}`, () => lists(c, known))
    yield* c.guard(`module ${known.name}`, () => references(known))
    yield* c.guard(`module ${known.name}`, () => variables(c, known))
  }
  yield* c.guard('vmalloc areas', () => areas(c))
  return undefined
}

function* lists(c: CheckContext, { name, mod, lists: known }: KnownModule): Generator<Seen> {
  if (mod.$has('state') && mod.$int('state') !== LIVE) return
  for (const list of c.known.complete) {
    const there = known.has(list)
    const others = [...known].join(' and ')
    yield {
      place: `${name} in ${list}`,
      at: listAddress(c.target, list),
      value: mod.$addr,
      owner: name,
      found: !there,
      verdict: there ? 'ok' : `module ${name} is in ${others}, not in ${list}`,
    }
  }
}

function listAddress(target: Target, list: ModuleList): bigint {
  const symbol = target.symbols.findKernel(list)
  return symbol === undefined ? 0n : toAddr(symbol.va)
}

/** A module that uses another holds a reference to it. @see kernel/module/main.c:add_module_usage */
function* references({ name, mod }: KnownModule): Generator<Seen> {
  if (!mod.$has('refcnt.counter') || !mod.$has('source_list')) return
  // one is the module's own
  const held = Number(mod.$int('refcnt.counter')) - 1
  const users = module_users(mod).length
  const short = held < users
  yield {
    place: `${name}.refcnt`,
    at: toAddr(mod.$vaOf('refcnt')),
    value: BigInt(held + 1),
    owner: name,
    found: short,
    verdict: short ? `${held} references, but ${users} modules use it` : 'ok',
  }
}

/** Pointers a module keeps in its variables: none leads to where modules lie and nothing is mapped. */
function* variables(c: CheckContext, known: KnownModule): Generator<Seen> {
  const { target } = c
  const loaded = target.symbols.modules.find(({ va }) => va === known.mod.$va)
  if (loaded === undefined) return
  const span = moduleSpan(c)
  for (const { name, type, va, size } of loaded.symbols) {
    if (!/[bd]/i.test(type) || size < target.wordSize || FREED.test(name) || !inModule(known, va)) continue
    yield* c.guard(`${known.name} ${name}`, function* () {
      const value = target.mem.word(va)
      const to = pointerVa(target, value)
      const dangling = to >= span.start && to < span.end && c.isUnmapped(to)
      if (!dangling) return
      const verdict = `leads to where no module is any more${c.lastUnloaded()}`
      yield { place: `${name} [${known.name}]`, at: toAddr(va), value, owner: 'nobody', found: true, verdict }
    })
  }
}

/** Where modules have ever been, or where they may be. @see kernel/module/main.c:mod_update_bounds */
function moduleSpan(c: CheckContext): { start: number; end: number } {
  const { symbols, types, wordSize } = c.target
  const tree = symbols.findKernel('mod_tree')
  if (tree !== undefined && types.has('mod_tree_root', 'addr_min')) {
    const root = c.target.ref('mod_tree_root', tree.va)
    const [start, end] = [toVa(root.$int('addr_min'), wordSize), toVa(root.$int('addr_max'), wordSize)]
    if (start < end) return { start, end }
  }
  return { start: 0, end: 0 }
}

/** Memory asked for by the loader that no list's module occupies. */
function* areas(c: CheckContext): Generator<Seen> {
  const { target } = c
  const head = target.symbols.findKernel('vmap_area_list')
  if (head === undefined || !target.types.has('vm_struct', 'caller')) return
  for (const area of list_for_each_entry(target.types, target.mem, head.va, 'vmap_area', 'list', AREAS_MAX)) {
    const vm = area.$ref('vm')
    if (vm === null) continue
    const caller = target.symbolize(vm.$int('caller'))
    if (caller === undefined || !LOADERS.test(caller.name)) continue
    const start = vm.$int('addr')
    const va = pointerVa(target, start)
    const owner = c.known.modules.find((each) => inModule(each, va))
    yield {
      place: `vmalloc area ${hex(start)}`,
      at: vm.$addr,
      value: start,
      owner: owner?.name ?? 'nobody',
      found: owner === undefined,
      verdict: owner === undefined ? `memory for a module (${caller.name}) that no list has` : 'ok',
    }
  }
}
