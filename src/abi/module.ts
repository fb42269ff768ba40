/** Constants of the module loader. @see include/linux/module.h, include/linux/panic.h, include/uapi/linux/elf.h */

/** `struct module.state`. @see include/linux/module.h:enum module_state */
export const MODULE_STATE_LIVE = 0
export const MODULE_STATE_COMING = 1
export const MODULE_STATE_GOING = 2
export const MODULE_STATE_UNFORMED = 3

/** Bytes of `module.name`, its NUL included. */
export const MODULE_NAME_LEN = 56
/** What a module holds of itself. @see kernel/module/main.c:MODULE_REF_BASE */
export const MODULE_REF_BASE = 1

export const TAINT_PROPRIETARY_MODULE = 0
export const TAINT_DIE = 7
export const TAINT_WARN = 9
export const TAINT_OOT_MODULE = 12
export const TAINT_UNSIGNED_MODULE = 13

/** Letters of the taints: set, not set, and whether modules have it. @see kernel/panic.c:taint_flags */
export const TAINT_FLAGS: readonly (readonly [on: string, off: string, module: boolean])[] = [
  ['P', 'G', true],
  ['F', ' ', true],
  ['S', ' ', false],
  ['R', ' ', false],
  ['M', ' ', false],
  ['B', ' ', false],
  ['U', ' ', false],
  ['D', ' ', false],
  ['A', ' ', false],
  ['W', ' ', false],
  ['C', ' ', true],
  ['I', ' ', false],
  ['O', ' ', true],
  ['E', ' ', true],
  ['L', ' ', false],
  ['K', ' ', true],
  ['X', ' ', true],
  ['T', ' ', true],
  ['N', ' ', true],
]

/** Licenses that may use EXPORT_SYMBOL_GPL. @see include/linux/license.h:license_is_gpl_compatible */
export const GPL_COMPATIBLE: readonly string[] = [
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]

/** `Elf64_Sym.st_info` of local functions and objects, and of global functions. */
export const ELF_LOCAL_FUNC = 0x02
export const ELF_LOCAL_OBJECT = 0x01
export const ELF_GLOBAL_FUNC = 0x12
