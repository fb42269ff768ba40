/**
 * Calling hooks: every entry of a head's list, as it lies in memory now. A module that links itself in, or a
 * patched pointer, takes effect here.
 *
 * @see security/security.c:call_int_hook, call_void_hook
 */

import { toVa, type Va } from '../../../base/addr.ts'
import { InvariantError } from '../../../base/errors.ts'
import { LSM_HOOK_DEFAULTS } from '../../../abi/lsm.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc, type KFunction } from '../../kfunc.ts'

/** More entries than this in one list are a loop. */
const HOOKS_MAX = 1000

interface Heads {
  readonly va: ReadonlyMap<string, Va>
  /** Of `security_hook_list.hook`. */
  readonly hookOffset: number
}

const heads = perKernel<Heads>((k) => {
  const base = toVa(k.sym('security_hook_heads'), k.mem.wordSize)
  const type = k.types.struct('security_hook_heads')
  return {
    va: new Map(type.members.map(({ name, bitOffset }) => [name, base + (bitOffset >>> 3)])),
    hookOffset: k.types.offsetof('security_hook_list', 'hook'),
  }
})

/** Address of `security_hook_heads.NAME`. */
export function hook_head(k: Kernel, name: string): Va {
  const va = heads(k).va.get(name)
  if (va === undefined) throw new InvariantError(`no LSM hook ${name}`)
  return va
}

type Hook = (k: Kernel, ...args: unknown[]) => number

/**
 * Ask each module until one objects.
 * @returns the first answer that is not the hook's neutral one
 */
export function call_int_hook(k: Kernel, name: string, args: readonly unknown[]): number {
  const neutral = LSM_HOOK_DEFAULTS[name] ?? 0
  const { hookOffset } = heads(k)
  let node = k.mem.pointer(hook_head(k, name))
  for (let left = HOOKS_MAX; node !== 0; left--) {
    if (left === 0) throw new InvariantError(`the hooks of ${name} have no end`)
    const rc = k.indirect<Hook>(k.mem.word(node + hookOffset))(k, ...args)
    if (rc !== neutral) return rc
    node = k.mem.pointer(node)
  }
  return neutral
}

/** Tell each module. */
export function call_void_hook(k: Kernel, name: string, args: readonly unknown[]): void {
  const { hookOffset } = heads(k)
  let node = k.mem.pointer(hook_head(k, name))
  for (let left = HOOKS_MAX; node !== 0; left--) {
    if (left === 0) throw new InvariantError(`the hooks of ${name} have no end`)
    k.indirect<Hook>(k.mem.word(node + hookOffset))(k, ...args)
    node = k.mem.pointer(node)
  }
}

const FILE = 'security/security.c'

/** Declare `security_NAME`: 0, or the -errno of the first module that objects. */
export function intHook<A extends unknown[]>(name: string): KFunction<A, number> {
  const symbol = `security_${name}`
  const functions = { [symbol]: (k: Kernel, ...args: A): number => call_int_hook(k, name, args) }
  return kfunc(FILE, functions[symbol] as (k: Kernel, ...args: A) => number)
}

/** Declare `security_NAME`, of a hook that returns nothing. */
export function voidHook<A extends unknown[]>(name: string): KFunction<A, void> {
  const symbol = `security_${name}`
  const functions = { [symbol]: (k: Kernel, ...args: A): void => call_void_hook(k, name, args) }
  return kfunc(FILE, functions[symbol] as (k: Kernel, ...args: A) => void)
}
