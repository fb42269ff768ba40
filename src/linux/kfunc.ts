/**
 * Declaring a kernel function. One declaration gives its symbol and text address, its frame on the task's
 * kernel stack, its kprobe point and its name in the write journal.
 *
 * ```ts
 * export const tcp_check_req = kfunc('net/ipv4/tcp_minisocks.c', function tcp_check_req(k, sk: sock, …) { … })
 * ```
 *
 * A function that may sleep is a generator function; its callers write `yield* f(k, …)`. What the kernel's
 * compiler inlines (no symbol in System.map) is a plain TypeScript function instead.
 */

import type { Kernel } from './kernel.ts'

export interface KFunctionInfo {
  readonly name: string
  /** Path in the kernel tree. */
  readonly file: string
  /** Index into {@link kernelFunctions}; the journal's site. 0 is no function. */
  readonly id: number
  /** Bytes of locals below the return address; structures on the stack come out of these. */
  readonly frame: number
  /** The compiler ends this function in a jump to what it calls last, so that its frame is gone by then. */
  readonly sibling: boolean
  /** An entry point in assembly: it pushes no frame of its own. */
  readonly asm: boolean
  /** Loaded with a module: its address comes with the module, not from System.map. */
  readonly module: string | undefined
}

export interface KFunctionOptions {
  /** Bytes of structures this function keeps on its stack, see {@link Kernel.local}. */
  readonly locals?: number
  readonly sibling?: boolean
  readonly asm?: boolean
  readonly module?: string
}

/** A declared function: callable as it is, with its particulars under `kfunc`. */
export type KFunction<A extends unknown[] = never[], R = unknown> = ((k: Kernel, ...args: A) => R) & {
  readonly kfunc: KFunctionInfo
}

/** Every declared function by id. */
export const kernelFunctions: KFunction[] = []
const NO_FUNCTION: KFunctionInfo = {
  name: '',
  file: '',
  id: 0,
  frame: 0,
  sibling: false,
  asm: false,
  module: undefined,
}
kernelFunctions.push(Object.assign(() => undefined, { kfunc: NO_FUNCTION }))

const GeneratorFunction = Object.getPrototypeOf(function* () {}) as object

/**
 * @param file the function's path in the kernel tree
 * @param body named as the kernel names it: takes the machine, then the kernel's parameters in its order
 */
export function kfunc<A extends unknown[], R>(
  file: string,
  body: (k: Kernel, ...args: A) => R,
  options: KFunctionOptions = {},
): KFunction<A, R> {
  const info: KFunctionInfo = {
    name: body.name,
    file,
    id: kernelFunctions.length,
    frame: frameSize(body.name, options.locals ?? 0),
    sibling: options.sibling ?? false,
    asm: options.asm ?? false,
    module: options.module,
  }
  const sleeps = Object.getPrototypeOf(body) === GeneratorFunction
  const wrapped = sleeps ? sleeping(info, body) : plain(info, body)
  const declared = Object.assign(wrapped, { kfunc: info }) as KFunction<A, R>
  kernelFunctions.push(declared as unknown as KFunction)
  bodies.set(declared, { body: body as Body, options })
  return declared
}

type Body = (k: Kernel, ...args: unknown[]) => unknown
const bodies = new WeakMap<object, { readonly body: Body; readonly options: KFunctionOptions }>()

/**
 * A second function with the body of another, as the macros that declare a system call make them: `__ia32_sys_read`
 * beside `__x64_sys_read`.
 * @param adapt what the body is given instead of the arguments
 */
export function kfuncAs<A extends unknown[]>(
  name: string,
  like: KFunction<A>,
  adapt: (...args: A) => A,
): KFunction<A> {
  const { body, options } = bodies.get(like) as { body: Body; options: KFunctionOptions }
  const sleeps = Object.getPrototypeOf(body) === GeneratorFunction
  const named = sleeps
    ? {
        *[name](k: Kernel, ...args: A): Generator<unknown, unknown> {
          return yield* body(k, ...adapt(...args)) as Generator<unknown, unknown>
        },
      }
    : { [name]: (k: Kernel, ...args: A): unknown => body(k, ...adapt(...args)) }
  return kfunc(like.kfunc.file, named[name] as (k: Kernel, ...args: A) => unknown, options)
}

function plain<A extends unknown[], R>(info: KFunctionInfo, body: (k: Kernel, ...args: A) => R) {
  return (k: Kernel, ...args: A): R => {
    k.enter(info)
    try {
      if (k.probed) k.entered(info, args)
      const result = body(k, ...args)
      if (k.probed) k.returned(info, result)
      return result
    } finally {
      k.leave(info)
    }
  }
}

function sleeping<A extends unknown[], R>(info: KFunctionInfo, body: (k: Kernel, ...args: A) => R) {
  return function* (k: Kernel, ...args: A): Generator<unknown, unknown, unknown> {
    k.enter(info)
    try {
      if (k.probed) k.entered(info, args)
      const result = yield* body(k, ...args) as Generator<unknown, unknown, unknown>
      if (k.probed) k.returned(info, result)
      return result
    } finally {
      k.leave(info)
    }
  } as unknown as (k: Kernel, ...args: A) => R
}

/** Frame sizes differ from function to function but not from run to run: 8-byte steps from the name. */
function frameSize(name: string, locals: number): number {
  let h = 0
  for (const c of name) h = (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0
  return 24 + (h % 9) * 8 + Math.ceil(locals / 8) * 8
}
