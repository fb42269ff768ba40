/**
 * Loading and unloading modules: the loader's steps in the kernel's order, with its messages and errors.
 *
 * @see kernel/module/main.c
 * @remarks a module is not read from a file but from its definition (see api.ts); a second load of a name that is
 * still coming up is refused at once instead of waiting for the first, and before it takes any memory.
 */

import { createHash } from 'node:crypto'
import { toVa, type Addr, type Va } from '../../../base/addr.ts'
import type { module } from '../../../btf/vmlinux.ts'
import { EBUSY, EEXIST, ENOENT, ENOEXEC, EWOULDBLOCK } from '../../../abi/errno.ts'
import {
  GPL_COMPATIBLE,
  MODULE_NAME_LEN,
  MODULE_REF_BASE,
  MODULE_STATE_COMING,
  MODULE_STATE_GOING,
  MODULE_STATE_LIVE,
  MODULE_STATE_UNFORMED,
  TAINT_FLAGS,
  TAINT_OOT_MODULE,
  TAINT_PROPRIETARY_MODULE,
  TAINT_UNSIGNED_MODULE,
} from '../../../abi/module.ts'
import {
  INIT_LIST_HEAD,
  list_add,
  list_del_rcu,
  list_empty,
  list_for_each_entry,
} from '../../../structures/list.ts'
import { write_module_orc } from '../../arch/x86/kernel/orc.ts'
import { textSizes } from '../../arch/x86/kernel/text.ts'
import { do_one_initcall } from '../../init/initcall.ts'
import type { Kernel } from '../../kernel.ts'
import { kernelFunctions, kfunc, type KFunction } from '../../kfunc.ts'
import { kfree, kstrdup } from '../../mm/slab.ts'
import { vfree } from '../../mm/vmalloc.ts'
import { since } from '../../version.ts'
import { add_taint, init_taint_flags, test_taint } from '../panic.ts'
import { init_param_ops, parse_args } from '../params.ts'
import { pr_err, pr_notice, pr_warn } from '../printk/printk.ts'
import {
  loadedModules,
  type LoadedModule,
  type ModuleDefinition,
  type ModuleFunction,
  type ModuleParam,
} from './api.ts'
import { add_kallsyms } from './kallsyms.ts'
import { layout_and_allocate, paramSize, type Placement } from './placement.ts'
import { simplify_symbols, unuse_modules, write_patched_exports } from './symbols.ts'
import { mod_sysfs_setup, mod_sysfs_teardown, param_sysfs_init } from './sysfs.ts'
import {
  init_mod_tree,
  mod_tree_insert,
  mod_tree_remove,
  mod_tree_remove_init,
  mod_update_bounds,
} from './tree_lookup.ts'

const FILE = 'kernel/module/main.c'

/** The list of modules, taint letters and parameter types: constants of the image, and /sys/module. After kmem_cache_init. */
export function init_modules(k: Kernel): void {
  INIT_LIST_HEAD(k.mem, toVa(k.sym('modules'), k.mem.wordSize))
  init_mod_tree(k)
  init_taint_flags(k)
  init_param_ops(k)
  param_sysfs_init(k)
  write_patched_exports(k)
}

/** What a module must have been built for. @see include/linux/vermagic.h */
export function vermagic(k: Kernel): string {
  const { release, wordSize, preemptCount } = k.profile
  const preempt = preemptCount && since(k, 6, 0) ? 'preempt ' : ''
  const versions = since(k, 3, 0) ? 'modversions ' : ''
  return `${release} SMP ${preempt}mod_unload ${versions}${wordSize === 4 ? '686 ' : ''}`
}

/** @see kernel/module/main.c:find_module */
export function find_module(k: Kernel, name: string): module | null {
  const head = toVa(k.sym('modules'), k.mem.wordSize)
  for (const mod of list_for_each_entry(k.types, k.mem, head, 'module', 'list')) {
    if (mod.name.$string() === name) return mod
  }
  return null
}

/**
 * Load a module and run its init function.
 *
 * @param definition what would be read from the .ko file
 * @param args the parameter string: `deny=192.168.56.101 debug=1`
 * @returns 0 or a negative errno: ENOEXEC, EEXIST, ENOENT (unknown symbol), EINVAL (parameter), or init's own
 * @see kernel/module/main.c:load_module
 */
export const load_module = kfunc(
  FILE,
  function* load_module(k, definition: ModuleDefinition, args: string): Generator<unknown, number> {
    const { name } = definition
    const taints = check_modinfo(k, definition)
    if (taints < 0) return -ENOEXEC
    if (find_module(k, name) !== null) return -EEXIST
    const parts = place(k, definition)
    const { mod } = parts
    mod.taints = BigInt(taints)
    addUnformed(k, mod)
    loadedModules(k).set(name, parts)
    if (definition.intree !== true) taintUnsigned(k, mod)
    else mod.sig_ok = 1
    mod.refcnt.counter = MODULE_REF_BASE + 1
    for (const list of ['source_list', 'target_list', 'param_lock.wait_list'])
      INIT_LIST_HEAD(k.mem, mod.$vaOf(list))
    const unresolved = simplify_symbols(k, mod, definition)
    if (unresolved !== 0) return abandon(k, parts, unresolved)
    add_symbols(k, parts)
    mod.args = BigInt.asUintN(64, BigInt(kstrdup(k, args)))
    mod.state = MODULE_STATE_COMING
    const rc = parseParameters(k, mod, args)
    if (rc !== 0) return abandon(k, parts, rc)
    mod_sysfs_setup(k, mod)
    return yield* do_init_module(k, mod)
  },
)

/**
 * What the module says of itself: built for this kernel, in its tree, under which license.
 * @returns its taints as a mask, or -1 when it is for another kernel
 * @see kernel/module/main.c:check_modinfo, set_license
 */
function check_modinfo(k: Kernel, definition: ModuleDefinition): number {
  const { name, license } = definition
  const wanted = vermagic(k)
  if (definition.vermagic !== undefined && definition.vermagic !== wanted) {
    pr_err(k, `${name}: version magic '${definition.vermagic}' should be '${wanted}'`)
    return -1
  }
  let taints = 0
  if (definition.intree !== true && since(k, 3, 2)) {
    if (!test_taint(k, TAINT_OOT_MODULE) && since(k, 4, 0))
      pr_warn(k, `${name}: loading out-of-tree module taints kernel.`)
    add_taint(k, TAINT_OOT_MODULE)
    taints |= 1 << TAINT_OOT_MODULE
  }
  if (!GPL_COMPATIBLE.includes(license)) {
    if (!test_taint(k, TAINT_PROPRIETARY_MODULE)) {
      pr_warn(k, `${name}: module license '${license === '' ? 'unspecified' : license}' taints kernel.`)
    }
    add_taint(k, TAINT_PROPRIETARY_MODULE)
    taints |= 1 << TAINT_PROPRIETARY_MODULE
  }
  return taints
}

/** No signature this kernel trusts: they came with 3.7. Said once, for the first such module. */
function taintUnsigned(k: Kernel, mod: module): void {
  if (!since(k, 3, 7)) return
  if (!test_taint(k, TAINT_UNSIGNED_MODULE)) {
    const gap = since(k, 3, 16) ? ' ' : '  '
    const why = `signature and/or${gap}required key missing - tainting kernel`
    pr_notice(k, `${mod.name.$string()}: module verification failed: ${why}`)
  }
  add_taint(k, TAINT_UNSIGNED_MODULE)
  mod.taints = mod.taints | (1n << BigInt(TAINT_UNSIGNED_MODULE))
}

/** Sections into memory, `struct module` filled as the compiler and move_module leave it. */
function place(k: Kernel, definition: ModuleDefinition): LoadedModule & { placement: Placement } {
  const placement = layout_and_allocate(k, definition)
  const mod = k.ref('module', placement.mod)
  mod.state = MODULE_STATE_UNFORMED
  mod.name.$setString(definition.name)
  setLayout(mod.core_layout, placement.core)
  if (placement.init !== undefined) setLayout(mod.init_layout, placement.init)
  for (const [f, { va, size }] of placement.functions) {
    k.placeText(functionOf(f), BigInt.asUintN(64, BigInt(va)) as Addr)
    textSizes(k).set(va, size)
  }
  for (const [text, va] of placement.strings) k.mem.write(va, Buffer.from(`${text}\0`, 'latin1'))
  const symbols = new Map<string, Va>(placement.symbols.map(({ name, va }) => [name, va]))
  for (const { name, initial } of definition.variables ?? []) {
    if (initial !== undefined) k.mem.write(symbols.get(name) as Va, initial)
  }
  if (definition.init !== undefined) mod.init = k.text(definition.init)
  if (definition.exit !== undefined) mod.exit = k.text(definition.exit)
  if (definition.version !== undefined) mod.version = pointerTo(k, definition.version)
  mod.srcversion = pointerTo(k, definition.srcversion ?? srcversionOf(definition))
  placeParams(k, mod, definition, placement, symbols)
  unwind_module_init(k, mod, placement)
  return { definition, mod, symbols, strings: placement.strings, placement }
}

const functionOf = (f: ModuleFunction): KFunction => kernelFunctions[f.kfunc.id] as KFunction
const pointerTo = (k: Kernel, text: string): bigint => BigInt.asUintN(64, BigInt(kstrdup(k, text)))

/** 24 hexadecimal digits that stand for the source: the build computes MD4 of it. */
function srcversionOf(definition: ModuleDefinition): string {
  const seed = `${definition.name} ${definition.version ?? ''}`
  return createHash('sha1').update(seed).digest('hex').slice(0, 24).toUpperCase()
}

function setLayout(layout: module['core_layout'], area: Placement['core']): void {
  layout.base = BigInt.asUintN(64, BigInt(area.base))
  layout.size = area.size
  layout.text_size = area.textSize
  layout.ro_size = area.roSize
  layout.ro_after_init_size = area.roSize
}

/** So that stacks can be walked through the module's functions. @see arch/x86/kernel/unwind_orc.c:unwind_module_init */
function unwind_module_init(k: Kernel, mod: module, { orc, orcIp, functions }: Placement): void {
  if (orc === 0) return
  const infos = [...functions.keys()].map(({ kfunc: info }) => info)
  mod.arch.num_orcs = write_module_orc(k, orcIp, orc, infos)
  k.mem.setPointer(mod.arch.$vaOf('orc_unwind_ip'), orcIp)
  k.mem.setPointer(mod.arch.$vaOf('orc_unwind'), orc)
}

/** The `__param` section, and what the variables hold before any argument. */
function placeParams(
  k: Kernel,
  mod: module,
  definition: ModuleDefinition,
  placement: Placement,
  symbols: ReadonlyMap<string, Va>,
): void {
  const params = definition.params ?? []
  if (params.length === 0) return
  mod.kp = k.ref('kernel_param', placement.kp)
  mod.num_kp = params.length
  params.forEach((param, i) => {
    const { name, type, value, perm } = param
    const kp = k.ref('kernel_param', placement.kp + i * k.types.sizeof('kernel_param'))
    const at = symbols.get(name) as Va
    k.mem.setPointer(kp.$vaOf('name'), placement.strings.get(name) as Va)
    kp.mod = mod
    kp.$set('ops', k.sym(param.array === undefined ? `param_ops_${type}` : 'param_array_ops'))
    kp.perm = perm ?? 0
    kp.level = -1
    k.mem.setPointer(kp.$vaOf('arg'), param.array === undefined ? at : placeArray(k, param, symbols))
    if (typeof value === 'string') k.mem.setPointer(at, placement.strings.get(value) as Va)
    else if (value !== undefined && value !== 0) k.mem.setU32(at, value)
  })
}

/** What `module_param_array` makes beside the array. @see include/linux/moduleparam.h:module_param_array_named */
function placeArray(
  k: Kernel,
  { name, type, array = 0, count }: ModuleParam,
  symbols: ReadonlyMap<string, Va>,
): Va {
  const arr = k.ref('kparam_array', symbols.get(`__param_arr_${name}`) as Va)
  arr.max = array
  arr.elemsize = paramSize(k, type)
  arr.$set('ops', k.sym(`param_ops_${type}`))
  k.mem.setPointer(arr.$vaOf('elem'), symbols.get(name) as Va)
  if (count !== undefined) k.mem.setPointer(arr.$vaOf('num'), symbols.get(count) as Va)
  return arr.$va
}

/** @see kernel/module/main.c:add_unformed_module */
function addUnformed(k: Kernel, mod: module): void {
  mod_update_bounds(k, mod.core_layout)
  mod_update_bounds(k, mod.init_layout)
  list_add(k.mem, mod.list.$va, toVa(k.sym('modules'), k.mem.wordSize))
  mod_tree_insert(k, mod)
}

/** While init runs the whole file's symbols are known, afterwards those that stay. @see kernel/module/kallsyms.c:add_kallsyms */
function add_symbols(k: Kernel, parts: LoadedModule & { placement: Placement }): void {
  const { mod, placement } = parts
  add_kallsyms(k, mod.core_kallsyms, placement.symtab, placement.symbols)
  if (placement.init === undefined) {
    mod.kallsyms = mod.core_kallsyms
    return
  }
  const table = k.ref('mod_kallsyms', placement.initSymtab)
  add_kallsyms(k, table, placement.initSymtab + table.$size, placement.initSymbols)
  mod.kallsyms = table
}

function parseParameters(k: Kernel, mod: module, args: string): number {
  const name = mod.name.$string()
  const { kp } = mod
  const unknown = (_: Kernel, param: string): number => {
    // they have been let pass since 3.11
    if (!since(k, 3, 11)) return -ENOENT
    pr_warn(k, `${name}: unknown parameter '${param}' ignored`)
    return 0
  }
  return parse_args(k, name, args, kp ?? k.ref('kernel_param', 0), mod.num_kp, unknown)
}

/**
 * Call the init function; the module is live when it returns 0.
 * @see kernel/module/main.c:do_init_module
 */
const do_init_module = kfunc(FILE, function* do_init_module(k, mod: module): Generator<unknown, number> {
  const name = mod.name.$string()
  const parts = loadedModules(k).get(name) as LoadedModule
  const rc = mod.init === 0n ? 0 : yield* do_one_initcall(k, mod.init)
  if (rc < 0) {
    mod.state = MODULE_STATE_GOING
    mod.refcnt.counter = mod.refcnt.counter - 1
    free_module(k, parts)
    return rc
  }
  if (rc > 0) {
    pr_warn(
      k,
      `do_init_module: '${name}'->init suspiciously returned ${rc}, it should follow 0/-E convention`,
    )
    pr_warn(k, 'do_init_module: loading module anyway...')
  }
  mod.state = MODULE_STATE_LIVE
  mod.refcnt.counter = mod.refcnt.counter - 1
  mod.kallsyms = mod.core_kallsyms
  freeInit(k, parts)
  return 0
})

/** The init text has done its work. @see kernel/module/main.c:do_free_init */
function freeInit(k: Kernel, { mod, definition }: LoadedModule): void {
  mod_tree_remove_init(k, mod)
  const base = toVa(mod.init_layout.base, k.mem.wordSize)
  mod.init_layout.base = 0n
  mod.init_layout.size = 0
  mod.init_layout.ro_size = 0
  mod.init_layout.ro_after_init_size = 0
  mod.init_layout.text_size = 0
  if (definition.init !== undefined) forget(k, definition.init)
  if (base !== 0) vfree(k, base)
}

function forget(k: Kernel, f: ModuleFunction): void {
  const at = k.textIfAny(f.kfunc)
  if (at !== undefined) textSizes(k).delete(toVa(at, k.mem.wordSize))
  k.placeText(functionOf(f), undefined)
}

/** The loader gives up on a module that is on the list already. */
function abandon(k: Kernel, parts: LoadedModule, rc: number): number {
  free_module(k, parts)
  return rc
}

/**
 * Off the lists, out of memory: text and data are unmapped at once, what still points there faults.
 * @see kernel/module/main.c:free_module
 */
const free_module = kfunc(FILE, function free_module(k, parts: LoadedModule): void {
  const { mod } = parts
  mod_sysfs_teardown(k, mod)
  mod.state = MODULE_STATE_UNFORMED
  unuse_modules(k, mod)
  list_del_rcu(k.mem, mod.list.$va)
  mod_tree_remove(k, mod)
  loadedModules(k).delete(parts.definition.name)
  release(k, parts)
})

function release(k: Kernel, { mod, definition }: LoadedModule): void {
  kfree(k, mod.args)
  kfree(k, mod.version)
  kfree(k, mod.srcversion)
  const areas = [mod.init_layout, mod.core_layout].map(({ base }) => toVa(base, k.mem.wordSize))
  for (const f of [...(definition.functions ?? []), definition.init, definition.exit]) {
    if (f !== undefined && k.textIfAny(f.kfunc) !== undefined) forget(k, f)
  }
  for (const base of areas) if (base !== 0) vfree(k, base)
}

/**
 * Unload a module.
 *
 * @returns 0; -ENOENT no such module, -EWOULDBLOCK in use, -EBUSY not live or without an exit function
 * @see kernel/module/main.c:__do_sys_delete_module
 */
export const delete_module = kfunc(FILE, function* delete_module(k, name: string): Generator<
  unknown,
  number
> {
  const mod = find_module(k, name)
  const parts = loadedModules(k).get(name)
  if (mod === null || parts === undefined) return -ENOENT
  if (!list_empty(k.mem, mod.source_list.$va)) return -EWOULDBLOCK
  if (mod.state !== MODULE_STATE_LIVE) return -EBUSY
  if (mod.init !== 0n && mod.exit === 0n) return -EBUSY
  if (mod.refcnt.counter !== MODULE_REF_BASE) return -EWOULDBLOCK
  mod.refcnt.counter = 0
  mod.state = MODULE_STATE_GOING
  if (mod.exit !== 0n) {
    const result = k.indirect<(k: Kernel) => unknown>(mod.exit)(k)
    if (isIterator(result)) yield* result
  }
  const last = toVa(k.sym('last_unloaded_module'), k.mem.wordSize)
  k.mem.write(last, cString(name, MODULE_NAME_LEN))
  k.mem.write(last + MODULE_NAME_LEN, cString(module_flags(k, mod), 24))
  free_module(k, parts)
  return 0
})

const isIterator = (value: unknown): value is Generator =>
  typeof value === 'object' && value !== null && 'next' in value

const cString = (text: string, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  bytes.set(Buffer.from(text, 'latin1').subarray(0, size - 1))
  return bytes
}

/** `(OE)` as oopses print it, letters out of memory; empty without taints. @see kernel/module/main.c:module_flags */
export function module_flags(k: Kernel, mod: module): string {
  const letters = TAINT_FLAGS.map((_, i) =>
    ((mod.taints >> BigInt(i)) & 1n) === 1n ? String.fromCharCode(taintLetter(k, i)) : '',
  )
  const text = letters.join('')
  return text === '' ? '' : `(${text})`
}

function taintLetter(k: Kernel, flag: number): number {
  const table = toVa(k.sym('taint_flags'), k.mem.wordSize)
  return k.ref('taint_flag', table + flag * k.types.sizeof('taint_flag')).c_true
}

/** Take a reference, unless the module is going away. @see kernel/module/main.c:try_module_get */
export function try_module_get(mod: module | null): boolean {
  if (mod === null) return true
  if (mod.state === MODULE_STATE_GOING || mod.refcnt.counter === 0) return false
  mod.refcnt.counter = mod.refcnt.counter + 1
  return true
}

/** @see kernel/module/main.c:module_put */
export function module_put(mod: module | null): void {
  if (mod !== null) mod.refcnt.counter = mod.refcnt.counter - 1
}
