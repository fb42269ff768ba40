/** Where `struct module` keeps what the symbol table needs, in the kernels' several forms. */

import type { Types } from '../btf/types.ts'
import { strip } from '../btf/type.ts'
import type { ModuleLayout } from '../symbols/modules.ts'

/**
 * @throws LookupError when this kernel has no `struct module`
 * @remarks `core_layout`/`init_layout` until 6.3, `mem[]` since; `module_core` and `core_size` before 4.5.
 */
export function moduleLayout(types: Types): ModuleLayout {
  const name = types.place('module', 'name')
  const kallsyms = types.has('mod_kallsyms') && types.has('module', 'kallsyms')
  const in_ = (member: string): number => (kallsyms ? types.offsetof('mod_kallsyms', member) : 0)
  return {
    list: types.offsetof('module', 'list'),
    name: name.bitOffset >>> 3,
    nameSize: types.sizeof(name.type),
    kallsyms: kallsyms ? types.offsetof('module', 'kallsyms') : undefined,
    symtab: in_('symtab'),
    numSymtab: in_('num_symtab'),
    strtab: in_('strtab'),
    typetab: types.has('mod_kallsyms', 'typetab') ? in_('typetab') : undefined,
    areas: areas(types),
  }
}

function areas(types: Types): { base: number; size: number }[] {
  const at = (base: string, size: string): { base: number; size: number } => ({
    base: types.offsetof('module', base),
    size: types.offsetof('module', size),
  })
  if (types.has('module', 'core_layout.base'))
    return [at('core_layout.base', 'core_layout.size'), at('init_layout.base', 'init_layout.size')]
  if (types.has('module', 'mem')) {
    const mem = strip(types.place('module', 'mem').type)
    const count = mem.kind === 'array' ? Math.min(mem.length, 16) : 0
    return Array.from({ length: count }, (_, i) => at(`mem[${i}].base`, `mem[${i}].size`))
  }
  if (types.has('module', 'module_core'))
    return [at('module_core', 'core_size'), at('module_init', 'init_size')]
  return []
}
