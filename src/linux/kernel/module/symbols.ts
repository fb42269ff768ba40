/** Who may use which symbol, and who uses whose. @see kernel/module/main.c:resolve_symbol, simplify_symbols, use_module */

import { toVa } from '../../../base/addr.ts'
import { ENOENT } from '../../../abi/errno.ts'
import { GPL_COMPATIBLE, MODULE_STATE_LIVE } from '../../../abi/module.ts'
import type { module } from '../../../btf/vmlinux.ts'
import { loadLayout } from '../../../layouts/layout.ts'
import { list_add, list_del, list_for_each_entry } from '../../../structures/list.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfree, kmalloc } from '../../mm/slab.ts'
import { since } from '../../version.ts'
import { pr_warn } from '../printk/printk.ts'
import { loadedModules, type ModuleDefinition } from './api.ts'

/** The kernel's own exports: name to whether only GPL-compatible modules may use them. */
const exportsOf = perKernel((k) => {
  const exports = new Map<string, boolean>()
  for (const { name, exported } of loadLayout(k.profile.layout).symbols) {
    if (exported !== undefined) exports.set(name, exported === 'gpl')
  }
  if (!since(k, 5, 7)) {
    exports.set('kallsyms_lookup_name', true)
    exports.set('kallsyms_on_each_symbol', true)
  }
  if (!since(k, 4, 0)) {
    exports.set('getname', false)
    exports.set('putname', false)
  }
  for (const name of patchedExports(k)) exports.set(name, false)
  return exports
})

/** Symbols that this kernel's builder has exported with a patch of his own; named before the first module is loaded. */
export const patchedExports = perKernel(() => new Set<string>())

/** printk() calls a function of another name since 5.15. */
const importName = (k: Kernel, symbol: string): string =>
  symbol === '_printk' && !since(k, 5, 15) ? 'printk' : symbol

/** How this kernel ends an "Unknown symbol" line: the error number came in 3.x, its sign and value in 3.18. */
function unknownSuffix(k: Kernel): string {
  if (!since(k, 3, 0)) return ''
  return since(k, 3, 18) ? ' (err -2)' : ' (err 0)'
}

/**
 * Find every symbol the module refers to; a line for each that is unknown.
 * @returns 0 or -ENOENT
 * @see kernel/module/main.c:simplify_symbols
 */
export function simplify_symbols(k: Kernel, mod: module, definition: ModuleDefinition): number {
  const gpl = GPL_COMPATIBLE.includes(definition.license)
  let rc = 0
  for (const wanted of definition.imports ?? []) {
    const symbol = importName(k, wanted)
    const gplOnly = exportsOf(k).get(symbol) ?? exportsOf(k).get(wanted)
    if (gplOnly !== undefined && (k.symbols.has(symbol) || k.symbols.has(wanted)) && (gpl || !gplOnly)) {
      if (gplOnly) mod.using_gplonly_symbols = 1
      continue
    }
    const owner = ownerOf(k, symbol)
    if (owner !== undefined) {
      use_module(k, mod, owner)
      continue
    }
    pr_warn(k, `${definition.name}: Unknown symbol ${symbol}${unknownSuffix(k)}`)
    rc = -ENOENT
  }
  return rc
}

/** The live module that exports a symbol. */
function ownerOf(k: Kernel, symbol: string): module | undefined {
  for (const { definition, mod } of loadedModules(k).values()) {
    if (definition.exports?.includes(symbol) === true && mod.state === MODULE_STATE_LIVE) return mod
  }
  return undefined
}

/** `a` refers to symbols of `b`, which cannot be unloaded before it. @see kernel/module/main.c:use_module */
function use_module(k: Kernel, a: module, b: module): void {
  const users = list_for_each_entry(k.types, k.mem, b.source_list.$va, 'module_use', 'source_list')
  for (const use of users) if (use.source?.$va === a.$va) return
  const use = k.ref('module_use', kmalloc(k, k.types.sizeof('module_use')))
  use.source = a
  use.target = b
  list_add(k.mem, use.source_list.$va, b.source_list.$va)
  list_add(k.mem, use.target_list.$va, a.target_list.$va)
  b.refcnt.counter = b.refcnt.counter + 1
}

/** Let go of every module it used. @see kernel/module/main.c:module_unload_free */
export function unuse_modules(k: Kernel, mod: module): void {
  if (k.mem.pointer(mod.target_list.$va) === 0) return
  const uses = [...list_for_each_entry(k.types, k.mem, mod.target_list.$va, 'module_use', 'target_list')]
  for (const use of uses) {
    const { target } = use
    if (target !== null) target.refcnt.counter = target.refcnt.counter - 1
    list_del(k.mem, use.source_list.$va)
    list_del(k.mem, use.target_list.$va)
    kfree(k, toVa(use.$addr, k.mem.wordSize))
  }
}

/** The tables that an export adds to the image. @see include/linux/export.h:___EXPORT_SYMBOL */
export function write_patched_exports(k: Kernel): void {
  for (const name of patchedExports(k)) {
    const entry = k.symbols.get(`__ksymtab_${name}`)
    const text = k.symbols.get(`__kstrtab_${name}`)
    if (entry === undefined || text === undefined) continue
    const [at, string] = [toVa(entry, k.mem.wordSize), toVa(text, k.mem.wordSize)]
    k.mem.write(string, Buffer.from(`${name}\0`, 'latin1'))
    // both are offsets from where they stand
    const value = toVa(k.sym(name), k.mem.wordSize)
    k.mem.setU32(at, (value - at) >>> 0)
    k.mem.setU32(at + 4, (string - (at + 4)) >>> 0)
    k.mem.setU32(at + 8, 0)
  }
}
