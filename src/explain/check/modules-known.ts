/** Every module that any of the kernel's lists knows, and which of them know it. */

import { toVa, type Va } from '../../base/addr.ts'
import { CoredrillError } from '../../base/errors.ts'
import type { StructRef } from '../../btf/ref.ts'
import { findSymbolVa } from '../../helpers/kernel.ts'
import {
  for_each_module,
  module_name,
  module_regions,
  module_taints,
  type ModuleRegion,
} from '../../helpers/module.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import { rb_for_each } from '../../structures/rbtree.ts'
import type { Target } from '../../target/target.ts'

const MODULES_MAX = 4096

/** Where a module can be known. */
export type ModuleList = 'modules' | 'module_kset' | 'mod_tree'

/** A module, and who knows it. */
export interface KnownModule {
  /** `struct module *` */
  readonly mod: StructRef
  readonly name: string
  readonly regions: readonly ModuleRegion[]
  /** letters; empty for a module that came with the kernel */
  readonly taints: string
  readonly lists: Set<ModuleList>
}

/** What the lists of modules say. */
export interface KnownModules {
  readonly modules: readonly KnownModule[]
  /** the lists this kernel has and that could be read to their end */
  readonly complete: ReadonlySet<ModuleList>
  /** what could not be read, a line each */
  readonly problems: readonly string[]
}

/** Read `modules`, the objects of `module_kset`, and the tree of module areas. */
export function knownModules(target: Target): KnownModules {
  const found = new Map<Va, KnownModule>()
  const complete = new Set<ModuleList>()
  const problems: string[] = []
  const readers: [ModuleList, () => Iterable<StructRef> | undefined][] = [
    ['modules', () => (findSymbolVa(target, 'modules') === undefined ? undefined : for_each_module(target))],
    ['module_kset', () => ofKset(target)],
    ['mod_tree', () => ofTree(target)],
  ]
  for (const [list, read] of readers) {
    try {
      const all = read()
      if (all === undefined) continue
      for (const mod of all) add(target, found, mod, list)
      complete.add(list)
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
      problems.push(`${list}: ${error.message}`)
    }
  }
  return { modules: [...found.values()], complete, problems }
}

function add(target: Target, found: Map<Va, KnownModule>, mod: StructRef, list: ModuleList): void {
  const known = found.get(mod.$va)
  if (known !== undefined) known.lists.add(list)
  else if (found.size < MODULES_MAX) {
    const taints = module_taints(target, mod)
    const regions = module_regions(mod)
    found.set(mod.$va, { mod, name: module_name(mod), regions, taints, lists: new Set([list]) })
  }
}

/** Modules that have an object in /sys/module: built-in ones have one without a module. */
function* ofKset(target: Target): Generator<StructRef> {
  const { types, mem } = target
  const at = findSymbolVa(target, 'module_kset')
  const set = at === undefined ? 0 : mem.pointer(at)
  if (set === 0 || !types.has('module_kobject', 'mod')) return
  const head = set + types.offsetof('kset', 'list')
  for (const kobj of list_for_each_entry(types, mem, head, 'kobject', 'entry', MODULES_MAX)) {
    const mod = kobj.$containerOf('module_kobject', 'kobj').$ref('mod')
    if (mod !== null) yield mod
  }
}

/** @see kernel/module/tree_lookup.c:mod_tree_insert */
function* ofTree(target: Target): Generator<StructRef> {
  const { types, mem } = target
  const at = findSymbolVa(target, 'mod_tree')
  if (at === undefined || !types.has('mod_tree_root', 'root') || !types.has('mod_tree_node', 'mod')) return
  const node = types.offsetof('mod_tree_node', 'node')
  const root = at + types.offsetof('mod_tree_root', 'root.tree')
  for (const rb of rb_for_each(mem, root, MODULES_MAX * 8)) {
    const mod = target.ref('mod_tree_node', rb - node).$ref('mod')
    if (mod !== null) yield mod
  }
}

/** Does a module's memory hold an address? */
export const inModule = ({ regions }: KnownModule, va: Va): boolean =>
  regions.some(({ base, size }) => va >= base && va < base + size)

/** An exact pointer as an address; NaN where it can be none. */
export const pointerVa = (target: Target, value: bigint): Va => toVa(value, target.wordSize)
