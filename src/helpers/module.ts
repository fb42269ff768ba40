/** Loaded modules: the list, their regions of memory, state, parameters, users and taints. */

import { toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { findSymbolVa, readString, symbolVa, type Kernel } from './kernel.ts'

/** @see include/linux/module.h:enum module_state */
const STATES = ['Live', 'Loading', 'Unloading', 'Unformed'] as const

/** A range of memory a module occupies. */
export interface ModuleRegion {
  /** `core`, `init`, or since 6.4 `text`, `data`, `rodata`, … */
  readonly name: string
  readonly base: Va
  readonly size: number
  /** bytes of it that are text, from its base */
  readonly textSize: number
}

/**
 * The modules, most recently loaded first, as the kernel's list has them.
 *
 * @returns `struct module *` each
 * @throws ValidationError, FaultError from a damaged list, after the modules before the damage
 */
export function* for_each_module(kernel: Kernel): Generator<StructRef> {
  yield* list_for_each_entry(kernel.types, kernel.mem, symbolVa(kernel, 'modules'), 'module', 'list')
}

/** @see include/linux/module.h:find_module */
export function find_module(kernel: Kernel, name: string): StructRef | undefined {
  for (const mod of for_each_module(kernel)) if (module_name(mod) === name) return mod
  return undefined
}

export function module_name(mod: StructRef): string {
  return mod.$array('name').$string()
}

/** `Live`, `Loading`, `Unloading`, as /proc/modules has them. */
export function module_state(mod: StructRef): string {
  const state = Number(mod.$int('state'))
  return STATES[state] ?? String(state)
}

/** Names of `struct module.mem[]`'s elements. @see include/linux/module.h:enum mod_mem_type */
const MEM_NAMES = ['text', 'data', 'rodata', 'ro_after_init', 'init text', 'init data', 'init rodata']

/** Where a module lies; empty regions are left out. */
export function module_regions(mod: StructRef): ModuleRegion[] {
  if (mod.$has('mem')) return memRegions(mod)
  const old = mod.$has('module_core')
  return ['core', 'init'].flatMap((name) => {
    const at = (member: string) => (old ? `${name}_${member}` : `${name}_layout.${member}`)
    const base = toVa(mod.$int(old ? `module_${name}` : `${name}_layout.base`), mod.$mem.wordSize)
    const size = Number(mod.$int(at('size')))
    if (size === 0 || Number.isNaN(base)) return []
    return [{ name, base, size, textSize: Number(mod.$int(at('text_size'))) }]
  })
}

function memRegions(mod: StructRef): ModuleRegion[] {
  const mem = mod.$array('mem')
  return Array.from({ length: mem.length }, (_, i) => {
    const region = mem.ref(i) as StructRef
    const size = Number(region.$int('size'))
    const name = MEM_NAMES[i] ?? `mem[${i}]`
    const base = toVa(region.$int('base'), mod.$mem.wordSize)
    return { name, base, size, textSize: name.endsWith('text') ? size : 0 }
  }).filter(({ size, base }) => size > 0 && !Number.isNaN(base))
}

/** The base crash and /proc/modules show: of the core, or of the text. */
export function module_base(mod: StructRef): Va {
  return module_regions(mod)[0]?.base ?? NaN
}

/** The bytes crash shows: the core's, or everything that is not for init. */
export function module_size(mod: StructRef): number {
  return module_regions(mod)
    .filter(({ name }) => !name.startsWith('init'))
    .reduce((sum, { size }) => sum + size, 0)
}

/** The module an address lies in. */
export function module_of_address(kernel: Kernel, va: Va): StructRef | undefined {
  for (const mod of for_each_module(kernel)) {
    if (module_regions(mod).some(({ base, size }) => va >= base && va < base + size)) return mod
  }
  return undefined
}

/** One letter of a taint. @see kernel/panic.c:taint_flags */
export interface TaintFlag {
  /** shown when the bit is set */
  readonly on: string
  /** applies to modules */
  readonly module: boolean
}

/** The kernel's own table of taint letters, one for each bit. */
export function taint_flags(kernel: Kernel): TaintFlag[] {
  const table = findSymbolVa(kernel, 'taint_flags')
  if (table === undefined || !kernel.types.has('taint_flag')) return []
  const size = kernel.types.sizeof('taint_flag')
  const flags: TaintFlag[] = []
  for (let i = 0; i < 64; i++) {
    const flag = kernel.types.ref('taint_flag', kernel.mem, table + i * size) as StructRef
    const on = Number(flag.$int('c_true'))
    // the table ends where its letters do
    if (on < 0x41 || on > 0x5a) break
    flags.push({ on: String.fromCharCode(on), module: flag.$int('module') !== 0n })
  }
  return flags
}

/** A module's taint letters, in the order of their bits. */
export function module_taints(kernel: Kernel, mod: StructRef): string {
  const member = mod.$has('taints') ? 'taints' : 'license_gplok'
  const taints = mod.$int(member)
  const flags = taint_flags(kernel)
  return flags
    .filter((flag, bit) => flag.module && (taints >> BigInt(bit)) & 1n)
    .map((flag) => flag.on)
    .join('')
}

/** A module's reference count as lsmod shows it: without the one it holds itself. */
export function module_refcount(mod: StructRef): number {
  if (!mod.$has('refcnt.counter')) return 0
  return Math.max(0, Number(mod.$int('refcnt.counter')) - 1)
}

/** Names of the modules that use this one. @see kernel/module/procfs.c:print_unload_info */
export function module_users(mod: StructRef): string[] {
  if (!mod.$has('source_list')) return []
  const uses = list_for_each_entry(
    mod.$types,
    mod.$mem,
    mod.$vaOf('source_list'),
    'module_use',
    'source_list',
    10000,
  )
  return Array.from(uses, (use: StructRef) => {
    const source = use.$ref('source')
    return source === null ? '?' : module_name(source)
  })
}

/** A member of `struct module` that is a string, such as `version`, `srcversion` or `args`. */
export function module_string(mod: StructRef, member: string): string | undefined {
  if (!mod.$has(member)) return undefined
  const va = toVa(mod.$int(member), mod.$mem.wordSize)
  return va === 0 || Number.isNaN(va) ? undefined : readString(mod.$mem, va)
}
