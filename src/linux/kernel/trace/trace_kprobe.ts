/**
 * Probe events: `p:tcp_v4_send_synack`, `r:inet_csk_complete_hashdance child=$retval`. Each has its `struct kretprobe`
 * in memory and in `kprobe_table`; its lines are those `cat trace_pipe` gives.
 *
 * ```ts
 * const probe = addProbe(k, 'r:child inet_csk_complete_hashdance child=$retval', { stack: true })
 * …
 * probe.lines   // ['          <idle>-0       [003] ..s.. 186587.002113: child: (tcp_check_req+0x1ae/0x620 <- …) child=0xffff…']
 * ```
 *
 * @see kernel/trace/trace_kprobe.c
 */

import { toVa, type Va } from '../../../base/addr.ts'
import { LookupError, UsageError } from '../../../base/errors.ts'
import type { kprobe, kretprobe } from '../../../btf/vmlinux.ts'
import { functionSize, returnOffset } from '../../arch/x86/kernel/text.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc, type KFunctionInfo } from '../../kfunc.ts'
import { kfree, kstrdup, kzalloc } from '../../mm/slab.ts'
import { register_kprobe, register_kretprobe, unregister_kretprobe } from '../kprobes.ts'
import { parseFetchArg, type FetchArg, type ProbeContext } from './fetch-args.ts'
import { tracePrefix } from './output.ts'
import { callers, entryStack, returnStack } from './stack.ts'

const FILE = 'kernel/trace/trace_kprobe.c'
/** Virtual time between an event and the record of its stack. */
const STACK_COST_NS = 22_000

export interface ProbeOptions {
  /** A stack record behind each event (`kprobe -s`). */
  readonly stack?: boolean
  /** Virtual nanoseconds the stack walk takes; the clock moves on by as much. */
  readonly stackCostNs?: number
  /** Called with each line as it comes. */
  readonly onLine?: (line: string) => void
}

/** A probe event as `kprobe` takes it. */
export interface ProbeDefinition {
  readonly isReturn: boolean
  /** Of the event. */
  readonly name: string
  /** The function probed. */
  readonly symbol: string
  readonly args: readonly FetchArg[]
}

/** An armed probe and what it has seen. */
export interface Probe {
  readonly definition: ProbeDefinition
  /** Lines of trace_pipe, stack lines among them. */
  readonly lines: readonly string[]
  /** Of the events alone. */
  readonly hits: number
  /** Its `struct kretprobe *` (of which an entry probe uses the `struct kprobe`). */
  readonly rp: kretprobe
  remove(): void
}

interface Armed {
  readonly definition: ProbeDefinition
  readonly options: ProbeOptions
  readonly lines: string[]
  hits: number
}

const probes = perKernel(() => new Map<Va, Armed>())

/**
 * Read `p[:NAME] FUNCTION [ARG…]` or `r…`; `p:FUNCTION [ARG…]` names the event after the function.
 * @throws UsageError
 * @see kernel/trace/trace_kprobe.c:__trace_kprobe_create
 */
export function parseProbe(text: string, wordSize: 4 | 8): ProbeDefinition {
  const match = /^([pr]):?(.*)$/.exec(text.trim())
  const words = (match?.[2] ?? '').split(/\s+/).filter((word) => word !== '')
  const [first] = words
  if (match === null || first === undefined || !isName(first)) {
    throw new UsageError(text, `${text}: a probe is p:FUNCTION or r:FUNCTION, then what to fetch`)
  }
  const isReturn = match[1] === 'r'
  const second = words[1]
  const named = second !== undefined && isName(second) && text.trim().startsWith(`${match[1]}:`)
  const fetches = words.slice(named ? 2 : 1)
  return {
    isReturn,
    name: first,
    symbol: named ? second : first,
    args: fetches.map((fetch, i) => parseFetchArg(fetch, i, isReturn, wordSize)),
  }
}

/** A function's or event's name, not something to fetch. */
const isName = (word: string): boolean => /^[A-Za-z_][\w.]*$/.test(word)

/**
 * Arm a probe event.
 * @throws UsageError when it cannot be understood, LookupError when this kernel has no such function to probe
 */
export function addProbe(k: Kernel, text: string, options: ProbeOptions = {}): Probe {
  const definition = parseProbe(text, k.mem.wordSize)
  const rp = alloc_trace_kprobe(k, definition)
  const rc = definition.isReturn ? register_kretprobe(k, rp) : register_kprobe(k, rp.kp)
  if (rc !== 0 || k.codeAt(rp.kp.addr) === undefined) {
    if (rc === 0) unregister_kretprobe(k, rp)
    release(k, rp)
    throw new LookupError('symbol', `${definition.symbol} to probe`)
  }
  const armed: Armed = { definition, options, lines: [], hits: 0 }
  probes(k).set(rp.$va, armed)
  return {
    definition,
    rp,
    lines: armed.lines,
    get hits() {
      return armed.hits
    },
    remove: () => {
      if (!probes(k).delete(rp.$va)) return
      unregister_kretprobe(k, rp)
      release(k, rp)
    },
  }
}

/**
 * The probe's structure, its handlers the dispatchers that all events share.
 * @see kernel/trace/trace_kprobe.c:alloc_trace_kprobe
 */
function alloc_trace_kprobe(k: Kernel, { isReturn, symbol }: ProbeDefinition): kretprobe {
  const rp = k.ref('kretprobe', kzalloc(k, k.types.sizeof('kretprobe')))
  k.mem.setPointer(rp.kp.$vaOf('symbol_name'), kstrdup(k, symbol))
  if (isReturn) rp.handler = k.text(kretprobe_dispatcher)
  else rp.kp.pre_handler = k.text(kprobe_dispatcher)
  return rp
}

function release(k: Kernel, rp: kretprobe): void {
  kfree(k, toVa(rp.kp.symbol_name, k.mem.wordSize))
  kfree(k, rp)
}

/** @see kernel/trace/trace_kprobe.c:kprobe_dispatcher */
const kprobe_dispatcher = kfunc(
  FILE,
  function kprobe_dispatcher(k, p: kprobe, args: readonly unknown[]): number {
    kprobe_trace_func(k, p.$va, { args })
    return 0
  },
)

/** @see kernel/trace/trace_kprobe.c:kretprobe_dispatcher */
const kretprobe_dispatcher = kfunc(
  FILE,
  function kretprobe_dispatcher(k, rp: kretprobe, result: unknown): number {
    kprobe_trace_func(k, rp.$va, { args: [], result })
    return 0
  },
)

/** One event, and its stack. */
function kprobe_trace_func(k: Kernel, va: Va, context: ProbeContext): void {
  const armed = probes(k).get(va)
  if (armed === undefined) return
  const { definition, options } = armed
  // the dispatcher's own frame is no part of what it looks at
  const frames = k.thread.frames.slice(0, -1)
  const args = definition.args.map((arg) => ` ${arg.name}=${arg.print(k, context)}`).join('')
  const place = definition.isReturn ? returnPlace(k, frames) : entryPlace(k, frames)
  emit(armed, `${tracePrefix(k, k.clock.nowNs)}${definition.name}: (${place})${args}`)
  armed.hits++
  if (options.stack !== true) return
  k.clock.spend(options.stackCostNs ?? STACK_COST_NS)
  emit(armed, `${tracePrefix(k, k.clock.nowNs)}<stack trace>`)
  const stack = definition.isReturn ? returnStack(k, frames) : entryStack(k, frames)
  for (const name of stack) emit(armed, ` => ${name}`)
}

function emit(armed: Armed, line: string): void {
  armed.lines.push(line)
  armed.options.onLine?.(line)
}

const sizeOf = (k: Kernel, info: KFunctionInfo): number =>
  functionSize(k, toVa(k.textIfAny(info) ?? 0n, k.mem.wordSize))

/** `tcp_v4_send_synack+0x0/0x1e0` */
function entryPlace(k: Kernel, frames: readonly KFunctionInfo[]): string {
  const info = frames.at(-1)
  return info === undefined ? '?' : `${info.name}+0x0/0x${sizeOf(k, info).toString(16)}`
}

/** `tcp_check_req+0x1ae/0x620 <- inet_csk_complete_hashdance` */
function returnPlace(k: Kernel, frames: readonly KFunctionInfo[]): string {
  const info = frames.at(-1)
  const [caller] = callers(k, frames.slice(0, -1))
  if (info === undefined || caller === undefined) return `0x0 <- ${info?.name ?? '?'}`
  const size = sizeOf(k, caller)
  const offset = returnOffset(k, caller, info.name, size)
  return `${caller.name}+0x${offset.toString(16)}/0x${size.toString(16)} <- ${info.name}`
}

/** What perf-tools' `kprobe` says around the events. */
export const kprobeTool = {
  start: (definition: ProbeDefinition): string => `Tracing kprobe ${definition.name}. Ctrl-C to end.`,
  end: ['', 'Ending tracing...'],
  badSymbol: (text: string): string => `ERROR: adding kprobe "${text}".`,
} as const
