/** The types of loaded modules: each keeps its own BTF, which goes on where the kernel's ends. */

import { toVa } from '../base/addr.ts'
import { CoredrillError } from '../base/errors.ts'
import { Btf } from '../btf/parse.ts'
import type { StructRef } from '../btf/ref.ts'
import { Types } from '../btf/types.ts'
import { list_for_each_entry } from '../structures/list.ts'
import { findSymbolVa, type Kernel } from './kernel.ts'
import { for_each_module, module_name } from './module.ts'

/** No module's types are larger; more is damage. */
const MAX_SIZE = 16 << 20

const known = new WeakMap<Types, Map<bigint, Types | undefined>>()

/**
 * A module's types over the kernel's; undefined when the module has none, or they cannot be read.
 *
 * @see kernel/bpf/btf.c:btf_module_notify
 */
export function module_types(kernel: Kernel, mod: StructRef): Types | undefined {
  let all = known.get(kernel.types)
  if (all === undefined) {
    all = new Map<bigint, Types | undefined>()
    known.set(kernel.types, all)
  }
  if (!all.has(mod.$addr)) all.set(mod.$addr, readTypes(kernel, mod))
  return all.get(mod.$addr)
}

function readTypes(kernel: Kernel, mod: StructRef): Types | undefined {
  const { btf } = kernel.types
  try {
    const where = parsedTypes(kernel, mod) ?? loadedTypes(mod)
    if (where === undefined || where.size === 0 || where.size > MAX_SIZE) return undefined
    const bytes = kernel.mem.read(toVa(where.data, kernel.mem.wordSize), where.size)
    return new Types(Btf.parse(bytes, { pointerSize: btf.pointerSize, base: btf, name: module_name(mod) }))
  } catch (error) {
    if (error instanceof CoredrillError) return undefined
    throw error
  }
}

interface Where {
  readonly data: bigint
  readonly size: number
}

/** The copy that the kernel keeps once it has parsed it: `btf_module.btf`. */
function parsedTypes(kernel: Kernel, mod: StructRef): Where | undefined {
  const head = findSymbolVa(kernel, 'btf_modules')
  if (head === undefined || !kernel.types.has('btf_module') || !kernel.types.has('btf', 'data'))
    return undefined
  for (const entry of list_for_each_entry(kernel.types, kernel.mem, head, 'btf_module', 'list')) {
    if (entry.$int('module') !== mod.$addr) continue
    const parsed = entry.$ref('btf')
    if (parsed !== null) return { data: parsed.$int('data'), size: Number(parsed.$int('data_size')) }
  }
  return undefined
}

/** The module's own section, while it is being loaded. */
function loadedTypes(mod: StructRef): Where | undefined {
  if (!mod.$has('btf_data') || mod.$int('btf_data') === 0n) return undefined
  return { data: mod.$int('btf_data'), size: Number(mod.$int('btf_data_size')) }
}

/** The types that know a struct, union or typedef of it: the kernel's, else those of the first module that does. */
export function types_of_struct(kernel: Kernel, name: string): Types | undefined {
  return typesThatKnow(kernel, (types) => types.findStruct(name) !== undefined)
}

/** The types that know a function: the kernel's, else those of the first module that does. */
export function types_of_function(kernel: Kernel, name: string): Types | undefined {
  return typesThatKnow(kernel, (types) => types.btf.find(name, 'func') !== undefined)
}

function typesThatKnow(kernel: Kernel, know: (types: Types) => boolean): Types | undefined {
  if (know(kernel.types)) return kernel.types
  try {
    for (const mod of for_each_module(kernel)) {
      const types = module_types(kernel, mod)
      if (types !== undefined && know(types)) return types
    }
  } catch (error) {
    // a kernel without modules, or a damaged list of them
    if (!(error instanceof CoredrillError)) throw error
  }
  return undefined
}
