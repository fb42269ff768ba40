/**
 * Writing a loadable module for the simulated kernel.
 *
 * A module is a definition: who it is, what it takes, what it needs, and its functions, each declared with
 * `kfunc(file, function …, { module: NAME })`. Loading it does what the kernel's loader does: text, strings,
 * variables and `struct module` get memory in the module area, symbols are resolved, parameters stored into the
 * module's variables, and the init function is called through `mod->init`.
 *
 * ```ts
 * const edu_init = kfunc('edu.c', function edu_init(k): number {
 *   const self = moduleOf(k, 'edu')
 *   pr_info(k, `edu: pid is ${self.int('pid')}`)   // read from the module's variable in memory
 *   k.mem.setU32(self.sym('calls'), 0)
 *   return 0
 * }, { module: 'edu' })
 *
 * export const edu = defineModule({
 *   name: 'edu', license: 'GPL', imports: ['_printk'],
 *   params: [{ name: 'pid', type: 'int', value: 0, perm: 0 }],
 *   variables: [{ name: 'calls', size: 4 }],
 *   functions: [], init: edu_init,
 * })
 * ```
 *
 * A hook in a table of system calls is `kfunc(file, function* hook(k, regs: pt_regs) {…}, OWN)`, whatever the machine:
 * {@link syscall_arg} finds its arguments, on the stack of an i386 kernel or in the registers x86-64 has saved, and
 * {@link call_original} goes on with whoever was in the table before. The table is read-only: {@link store_word} faults
 * unless CR0.WP is clear (`mov_cr0`).
 *
 * Rules: keep state in variables, not in JavaScript; call the kernel through imported functions; call through
 * pointers in memory with `k.indirect`. An init or exit that sleeps is a generator function.
 */

import { LookupError } from '../../../base/errors.ts'
import type { Va } from '../../../base/addr.ts'
import type { module, pt_regs } from '../../../btf/vmlinux.ts'
import { handlerAt } from '../../arch/x86/entry/handler.ts'
import { returnAddress } from '../../arch/x86/kernel/text.ts'
import { return_to_bad_address } from '../../arch/x86/mm/fault.ts'
import { cString } from '../../lib/vsprintf.ts'
import { sleepable } from '../../sleepable.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import type { KFunctionInfo } from '../../kfunc.ts'

export type ParamType = 'charp' | 'int' | 'uint' | 'short' | 'ushort' | 'byte' | 'long' | 'ulong' | 'bool'

/** `module_param(name, type, perm)`: a variable of the same name is made for it. */
export interface ModuleParam {
  readonly name: string
  readonly type: ParamType
  /** What the variable holds unless given; NULL or 0 by default. */
  readonly value?: number | string
  /** Mode of /sys/module/NAME/parameters/…; 0 for none. */
  readonly perm?: number
  readonly description?: string
  /** `module_param_array`: the variable is an array of so many. */
  readonly array?: number
  /** The `unsigned int` variable that is told how many were given. */
  readonly count?: string
}

/** A static variable. */
export interface ModuleVariable {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly align?: number
  /** Its bytes at load; without them it lies in .bss, zeroed. */
  readonly initial?: Uint8Array
}

/** A function as the module lists it. */
export interface ModuleFunction {
  readonly kfunc: KFunctionInfo
}

export interface ModuleDefinition {
  readonly name: string
  /** MODULE_LICENSE; without a GPL-compatible one, GPL-only symbols are unknown and the kernel is tainted P. */
  readonly license: string
  readonly author?: string
  readonly description?: string
  readonly version?: string
  readonly srcversion?: string
  /** Built with the kernel, and signed: no taints. */
  readonly intree?: boolean
  /** vermagic when the module was built for another kernel. */
  readonly vermagic?: string
  readonly params?: readonly ModuleParam[]
  /** Kernel (or other modules') symbols it refers to. */
  readonly imports?: readonly string[]
  /** Names of its functions and variables that other modules may use. */
  readonly exports?: readonly string[]
  /** In .text, in this order. */
  readonly functions?: readonly ModuleFunction[]
  readonly variables?: readonly ModuleVariable[]
  /** Bytes of functions as the compiler made them, where addresses behind them are to be as on a real machine. */
  readonly textSizes?: Readonly<Record<string, number>>
  /** Bytes of the loaded module on kernels that do not round them to pages. */
  readonly coreBytes?: number
  /** String constants that are pointed at from memory. */
  readonly strings?: readonly string[]
  /** 0, or a negative errno: then the module is unloaded again. */
  readonly init?: ModuleFunction
  /** Without one a module with an init stays for good. */
  readonly exit?: ModuleFunction
}

export { syscall_arg, syscall_int } from '../../arch/x86/entry/arguments.ts'
export { mov_cr0, read_cr0, write_cr0, X86_CR0_WP } from '../../arch/x86/kernel/cpu/common.ts'
export { load_word, store_word } from '../../arch/x86/mm/fault.ts'

const registry = new Map<string, ModuleDefinition>()

/** Make a definition known by its name, for insmod. */
export function defineModule(definition: ModuleDefinition): ModuleDefinition {
  registry.set(definition.name, definition)
  return definition
}

/** The definition behind a path such as `./recvmsg_block.ko`: dashes and underscores are one. */
export function findModuleDefinition(path: string): ModuleDefinition | undefined {
  const base = path.slice(path.lastIndexOf('/') + 1).replace(/\.ko$/, '')
  return registry.get(base) ?? registry.get(base.replaceAll('-', '_'))
}

export const moduleDefinitions = (): readonly ModuleDefinition[] => [...registry.values()]

/** Where the parts of a loaded module lie. */
export interface LoadedModule {
  readonly definition: ModuleDefinition
  /** `struct module *` */
  readonly mod: module
  /** Variables, parameters' variables and functions by name. */
  readonly symbols: ReadonlyMap<string, Va>
  readonly strings: ReadonlyMap<string, Va>
}

const loaded = perKernel(() => new Map<string, LoadedModule>())

/** @internal the loader's register of what it placed */
export const loadedModules = (k: Kernel): Map<string, LoadedModule> => loaded(k)

/** A module's own view of itself. */
export class ModuleSelf {
  private readonly k: Kernel
  private readonly parts: LoadedModule
  constructor(k: Kernel, parts: LoadedModule) {
    this.k = k
    this.parts = parts
  }

  /** `THIS_MODULE` */
  get mod(): module {
    return this.parts.mod
  }

  /** Address of a variable or function of the module. @throws LookupError */
  sym(name: string): Va {
    const va = this.parts.symbols.get(name)
    if (va === undefined) throw new LookupError('symbol', `${name} [${this.parts.definition.name}]`)
    return va
  }

  /** Address of a string constant. @throws LookupError */
  string(text: string): Va {
    const va = this.parts.strings.get(text)
    if (va === undefined) throw new LookupError('symbol', `"${text}" [${this.parts.definition.name}]`)
    return va
  }

  /** A 32-bit variable, signed. */
  int(name: string): number {
    return this.k.mem.u32(this.sym(name)) | 0
  }

  bool(name: string): boolean {
    return this.k.mem.u8(this.sym(name)) !== 0
  }

  /** A pointer or `unsigned long`. */
  word(name: string): bigint {
    return this.k.mem.word(this.sym(name))
  }

  setWord(name: string, value: bigint): void {
    this.k.mem.setWord(this.sym(name), value)
  }

  /** The string a `char *` variable points at; null for NULL. */
  charp(name: string): string | null {
    const at = this.word(name)
    return at === 0n ? null : cString(this.k, at, 1024)
  }
}

/** A loaded module by name, for its own functions. @throws LookupError when it is not loaded */
export function moduleOf(k: Kernel, name: string): ModuleSelf {
  const parts = loaded(k).get(name)
  if (parts === undefined) throw new LookupError('symbol', `module ${name}`)
  return new ModuleSelf(k, parts)
}

/**
 * Call the handler of a system call through a pointer in memory, as a hook calls the one it has replaced.
 * @param handler what the module kept of the table's entry
 * @throws KernelPageFault where no function is any more, or where the hook itself is gone when the call returns
 */
export function* call_original(k: Kernel, handler: bigint, regs: pt_regs): Generator<unknown, number> {
  const hook = k.thread.frames.at(-1)
  const f = handlerAt(k, handler)
  const callee = k.codeAt(handler)?.kfunc
  const back = hook === undefined || callee === undefined ? undefined : returnAddress(k, hook, callee)
  const result = Number(yield* sleepable(f(k, regs)))
  if (back !== undefined && hook !== undefined && k.textIfAny(hook) === undefined)
    return_to_bad_address(k, back)
  return result
}
