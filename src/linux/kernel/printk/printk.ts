/**
 * The kernel log as its writers use it: a message with a level becomes a record of the ring, stamped with
 * virtual time and with who printed it.
 *
 * ```ts
 * pr_info(k, 'TCP: Hash tables configured (established 512 bind 512)')
 * printk(k, KERN_WARNING, `${name}: loading out-of-tree module taints kernel.`)
 * ```
 *
 * @see kernel/printk/printk.c
 * @remarks there is no console and no klogd to wake: the log is in memory only, as with `quiet` and no serial line.
 */

import { toVa } from '../../../base/addr.ts'
import type { printk_ringbuffer } from '../../../btf/vmlinux.ts'
import {
  CALLER_IS_CPU,
  KERN_ALERT,
  KERN_CRIT,
  KERN_DEBUG,
  KERN_EMERG,
  KERN_ERR,
  KERN_INFO,
  KERN_NOTICE,
  KERN_WARNING,
  LOG_BUF_SHIFT,
  LOG_NEWLINE,
  PRB_AVGBITS,
  PRINTKRB_RECORD_MAX,
} from '../../../abi/printk.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { since } from '../../version.ts'
import { kfunc } from '../../kfunc.ts'
import { prb_commit, prb_final_commit, prb_init, prb_reserve } from './printk_ringbuffer.ts'

const FILE = 'kernel/printk/printk.c'
/** The start of heading byte before a level in a format string. @see include/linux/kern_levels.h */
const KERN_SOH = '\x01'

export interface PrintkOptions {
  /** Who printed, when not the running task or this CPU's interrupt: `printk_info.caller_id`. */
  readonly caller?: number
  /** What `dev_printk` says of the device besides the text. */
  readonly dev?: { readonly subsystem: string; readonly device: string }
}

/**
 * The statically initialised ring and log variables; before the first message.
 * @see kernel/printk/printk.c:DEFINE_PRINTKRB
 */
export function init_printk_statics(k: Kernel): void {
  const descs = k.sym('_printk_rb_static_descs')
  const infos = k.sym('_printk_rb_static_infos')
  const text = k.sym('__log_buf')
  const rb = k.global('printk_rb_static', 'printk_ringbuffer')
  prb_init(k, rb, { descs, infos, text }, LOG_BUF_SHIFT - PRB_AVGBITS, LOG_BUF_SHIFT)
  const va = (name: string): number => toVa(k.sym(name), k.mem.wordSize)
  k.mem.setPointer(va('prb'), rb.$va)
  k.mem.setWord(va('log_buf'), text)
  k.mem.setU32(va('log_buf_len'), 1 << LOG_BUF_SHIFT)
  const levels = [7, KERN_WARNING, KERN_ALERT, 7] // console_loglevel and its defaults
  levels.forEach((level, i) => k.mem.setU32(va('console_printk') + i * 4, level))
}

/** What the kernel says first: who it is, and what it was started with. @see init/main.c:start_kernel */
export function printk_banner(k: Kernel, banner: string, commandLine: string): void {
  pr_notice(k, banner)
  pr_info(k, `Command line: ${commandLine}`)
}

/**
 * A complete line: a newline is added when `text` has none.
 *
 * @param level {@link KERN_INFO} and its like
 * @see include/linux/printk.h:printk
 */
export function printk(k: Kernel, level: number, text: string, options?: PrintkOptions): void {
  _printk(k, level, text.endsWith('\n') ? text : `${text}\n`, options)
}

export const pr_emerg = (k: Kernel, text: string): void => printk(k, KERN_EMERG, text)
export const pr_alert = (k: Kernel, text: string): void => printk(k, KERN_ALERT, text)
export const pr_crit = (k: Kernel, text: string): void => printk(k, KERN_CRIT, text)
export const pr_err = (k: Kernel, text: string): void => printk(k, KERN_ERR, text)
export const pr_warn = (k: Kernel, text: string): void => printk(k, KERN_WARNING, text)
export const pr_notice = (k: Kernel, text: string): void => printk(k, KERN_NOTICE, text)
export const pr_info = (k: Kernel, text: string): void => printk(k, KERN_INFO, text)
export const pr_debug = (k: Kernel, text: string): void => printk(k, KERN_DEBUG, text)

/**
 * The text exactly as the C string has it: without a newline at its end the record stays open until the next.
 * @see kernel/printk/printk.c:_printk
 */
export const _printk = kfunc(
  FILE,
  function _printk(k, level: number, text: string, options?: PrintkOptions): void {
    vprintk(k, level, text, options)
  },
)

/** @see kernel/printk/printk_safe.c:vprintk */
export const vprintk = kfunc(
  'kernel/printk/printk_safe.c',
  function vprintk(k, level: number, text: string, options?: PrintkOptions): void {
    vprintk_default(k, level, text, options)
  },
  { sibling: true },
)

/** @see kernel/printk/printk.c:vprintk_default */
const vprintk_default = kfunc(
  FILE,
  function vprintk_default(k, level: number, text: string, options?: PrintkOptions): void {
    vprintk_emit(k, 0, level, text, options)
  },
  { sibling: true },
)

/** @see kernel/printk/printk.c:vprintk_emit */
export const vprintk_emit = kfunc(
  FILE,
  function vprintk_emit(k, facility: number, level: number, text: string, options?: PrintkOptions): void {
    vprintk_store(k, facility, level, text, options)
  },
)

/** When the next messages are to be printed, in nanoseconds since boot: the kernel is busy until then. */
export const logTimes = perKernel((): number[] => [])

/**
 * Reserve, fill, commit.
 *
 * @remarks the text is formatted in the ring with its level prefix and moved down over it, so a few bytes of
 * it stay behind each record's end, as in a real log buffer.
 * @see kernel/printk/printk.c:vprintk_store
 */
export const vprintk_store = kfunc(
  FILE,
  function vprintk_store(k, facility: number, level: number, text: string, options?: PrintkOptions): void {
    k.clock.moveTo(logTimes(k).shift() ?? 0)
    const whole = since(k, 3, 5) ? { level, text } : glued(k, level, text)
    if (whole !== undefined) store(k, facility, whole.level, whole.text, options)
  },
)

/** A line that has begun, before there were records. */
const begun = perKernel((): { line: { level: number; text: string } | undefined } => ({ line: undefined }))

/**
 * Up to 3.5 the log was one text: what did not end in a newline went on with whatever came next, and a level was one
 * at the beginning of a line alone: elsewhere `<1>` is text.
 * @returns the line, when it is complete
 */
function glued(k: Kernel, level: number, text: string): { level: number; text: string } | undefined {
  const state = begun(k)
  const line =
    state.line === undefined
      ? { level, text }
      : { ...state.line, text: `${state.line.text}<${level}>${text}` }
  state.line = line.text.endsWith('\n') ? undefined : line
  return state.line === undefined ? line : undefined
}

function store(k: Kernel, facility: number, level: number, text: string, options?: PrintkOptions): void {
  const raw = Buffer.from(`${KERN_SOH}${level}${text}\0`, 'latin1')
  const size = Math.min(raw.length, PRINTKRB_RECORD_MAX)
  const e = prb_reserve(k, log_ring(k), size)
  const newline = raw[raw.length - 2] === 0x0a
  const end = raw.length > size ? size : raw.length - (newline ? 2 : 1)
  const line = raw.subarray(2, end)
  if (e.text !== 0) {
    k.mem.write(e.text, raw.subarray(0, size))
    k.mem.write(e.text, line)
    e.info.text_len = line.length
  }
  e.info.facility = facility
  e.info.level = level & 7
  e.info.flags = newline ? LOG_NEWLINE : 0
  e.info.ts_nsec = BigInt(Math.floor(k.clock.nowNs))
  e.info.caller_id = options?.caller ?? printk_caller_id(k)
  if (options?.dev !== undefined) {
    e.info.dev_info.subsystem.$setString(options.dev.subsystem)
    e.info.dev_info.device.$setString(options.dev.device)
  }
  if (newline) prb_final_commit(k, e)
  else prb_commit(k, e)
}

/** Where messages go now. @see kernel/printk/printk.c:prb */
function log_ring(k: Kernel): printk_ringbuffer {
  return k.ref('printk_ringbuffer', k.mem.pointer(toVa(k.sym('prb'), k.mem.wordSize)))
}

/** The functions soft interrupts run in. */
const SOFTIRQ_LOOPS = new Set(['handle_softirqs', '__do_softirq'])

/** @see kernel/printk/printk.c:printk_caller_id */
function printk_caller_id(k: Kernel): number {
  const { hardirq, softirq, id } = k.cpu
  // bottom halves may be disabled in a task too: only one that runs is no task
  const serving = softirq > 0 && k.thread.frames.some(({ name }) => SOFTIRQ_LOOPS.has(name))
  return hardirq === 0 && !serving ? k.current.pid : (CALLER_IS_CPU | id) >>> 0
}
