/** The tree of module areas by address, kept twice for readers that cannot wait. @see kernel/module/tree_lookup.c */

import { toAddr, toVa, type Va } from '../../../base/addr.ts'
import type { mod_tree_root, module, module_layout } from '../../../btf/vmlinux.ts'
import { rb_add, rb_erase } from '../../../structures/rbtree.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'

const FILE = 'kernel/module/tree_lookup.c'

const root = (k: Kernel): mod_tree_root => k.global('mod_tree', 'mod_tree_root')
const NO_MINIMUM = (1n << 64n) - 1n

/** No module yet. @see kernel/module/main.c:mod_tree */
export function init_mod_tree(k: Kernel): void {
  root(k).addr_min = k.mem.wordSize === 8 ? NO_MINIMUM : 0xffff_ffffn
}

const layoutBase = (k: Kernel, node: Va, i: number): Va => {
  const offset = k.types.offsetof('mod_tree_node', 'node') + i * k.types.sizeof('rb_node')
  const mtn = k.types.offsetof('module_layout', 'mtn')
  return toVa(k.ref('module_layout', node - offset - mtn).base, k.mem.wordSize)
}

function insert(k: Kernel, mod: module, layout: module_layout): void {
  if (layout.size === 0) return
  layout.mtn.mod = mod
  for (const i of [0, 1]) {
    const node = layout.mtn.node.node.$vaAt(i)
    const base = layoutBase(k, node, i)
    rb_add(k.mem, node, treeRoot(k, i), (other) => base < layoutBase(k, other, i))
  }
}

function remove(k: Kernel, layout: module_layout): void {
  if (layout.size === 0) return
  for (const i of [0, 1]) rb_erase(k.mem, layout.mtn.node.node.$vaAt(i), treeRoot(k, i))
}

const treeRoot = (k: Kernel, i: number): Va => root(k).root.tree.$vaAt(i)

/** @see kernel/module/tree_lookup.c:mod_tree_insert */
export const mod_tree_insert = kfunc(FILE, function mod_tree_insert(k, mod: module): void {
  insert(k, mod, mod.core_layout)
  insert(k, mod, mod.init_layout)
})

/** @see kernel/module/tree_lookup.c:mod_tree_remove_init */
export const mod_tree_remove_init = kfunc(FILE, function mod_tree_remove_init(k, mod: module): void {
  remove(k, mod.init_layout)
})

/** @see kernel/module/tree_lookup.c:mod_tree_remove */
export const mod_tree_remove = kfunc(FILE, function mod_tree_remove(k, mod: module): void {
  remove(k, mod.core_layout)
  remove(k, mod.init_layout)
})

/** The span in which modules have ever been. @see kernel/module/main.c:mod_update_bounds */
export function mod_update_bounds(k: Kernel, layout: module_layout): void {
  if (layout.size === 0) return
  const tree = root(k)
  const end = layout.base + BigInt(layout.size)
  if (layout.base < tree.addr_min) tree.addr_min = layout.base
  if (end > tree.addr_max) tree.addr_max = toAddr(toVa(end, k.mem.wordSize))
}
