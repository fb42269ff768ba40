/**
 * `explain --oops`: why the kernel crashed, in five lines, from the dump alone: the log's first oops, the tables that still
 * hold the address, what freed memory (or an earlier snapshot) says was there, and the way out.
 */

import { hex, toVa } from '../base/addr.ts'
import { CoredrillError } from '../base/errors.ts'
import { freed_modules_at } from '../helpers/freed-modules.ts'
import { for_each_module, module_name } from '../helpers/module.ts'
import { find_panic } from '../helpers/panic.ts'
import { log_records } from '../helpers/printk.ts'
import type { Target } from '../target/target.ts'
import { runChecks } from './check/run.ts'
import type { CheckEntry } from './check/entry.ts'

/** Five sentences, and the facts in them. */
export interface OopsExplanation {
  readonly what: string
  readonly who: string
  readonly was: string
  readonly why: string
  readonly wayOut: string
  /** the address that was not there; null when the log has no fault */
  readonly address: bigint | null
  /** the places that hold it still */
  readonly holders: readonly { readonly place: string; readonly at: bigint }[]
  /** the module that was there */
  readonly module: string | null
}

/** What the log's first oops says. */
interface Oops {
  readonly line: string
  readonly address: bigint | undefined
  readonly code: number
  readonly ip: string
  readonly pid: string
  readonly comm: string
  readonly trace: readonly string[]
  readonly lastUnloaded: string | undefined
}

/** X86_PF_WRITE and X86_PF_INSTR */
const [WRITE, FETCH] = [2, 16]
const BEGINS =
  /BUG: unable to handle|BUG: kernel NULL pointer|general protection fault|kernel BUG at|double fault/

export function explainOops(target: Target): OopsExplanation {
  const lines = [...log_records(target)].flatMap(({ text }) => text.split('\n'))
  const begin = lines.findIndex((line) => BEGINS.test(line))
  if (begin < 0) return withoutFault(target, lines)
  const oops = read(lines.slice(begin))
  if (oops.address === undefined) return unknownFault(oops)
  return (oops.code & FETCH) !== 0 ? noCode(target, oops, oops.address) : noData(oops, oops.address)
}

function read(lines: readonly string[]): Oops {
  const [line = ''] = lines
  const first = (pattern: RegExp): RegExpExecArray | undefined => {
    for (const each of lines) {
      const found = pattern.exec(each)
      if (found !== null) return found
    }
    return undefined
  }
  const at = /(?:address: |request at |dereference at |virtual address )([0-9a-f]{8,16})\b/.exec(line)?.[1]
  const who =
    first(/CPU: \d+ PID: (\d+) Comm: (.*?) (?:Tainted|Not tainted)/) ?? first(/^Pid: (\d+), comm: (\S+)/)
  const from = lines.findIndex((each) => each.startsWith('Call Trace:'))
  const rest = from < 0 ? [] : lines.slice(from + 1)
  const end = rest.findIndex((each) => !/^ +(<|\?|\[|[\w.]+\+0x)/.test(each))
  return {
    line,
    address: at === undefined ? undefined : BigInt(`0x${at}`),
    code: parseInt(first(/Oops: ([0-9a-f]{4})/)?.[1] ?? '0', 16),
    ip: first(/^ ?RIP: [0-9a-f]+:(\S+(?: \[\w+\])?)/)?.[1] ?? first(/^EIP is at (.*)/)?.[1] ?? '?',
    pid: who?.[1] ?? '?',
    comm: who?.[2] ?? '?',
    trace: rest
      .slice(0, end < 0 ? 24 : end)
      .flatMap((each) => /([\w.]+)\+0x[0-9a-f]+\/0x/.exec(each)?.[1] ?? []),
    lastUnloaded: first(/\[last unloaded: (\w+)/)?.[1],
  }
}

/** The processor was sent to where no code is. */
function noCode(target: Target, oops: Oops, address: bigint): OopsExplanation {
  const holders = holdersOf(target, address)
  const past = whatWasAt(target, address)
  // functions begin at multiples of 16
  const isReturn = holders.length === 0 && (past.offset ?? Number(address & 0xfn)) !== 0
  const way = oops.trace.filter((name) => !HANDLERS.has(name)).slice(0, 3)
  const at = hex(address)
  const lies = past.module === undefined ? 'no module remembers it' : `${past.text} lay there`
  const [holder] = holders
  return {
    what: `${oops.comm} (pid ${oops.pid}) was ${isReturn ? 'returned' : 'sent'} to ${at}, where no code is any more: a fetch of an instruction from a page that is not mapped (error code ${oops.code.toString(16).padStart(4, '0')})`,
    who: isReturn
      ? `nobody called it just now: ${at} is a return address, left on the stack by code that slept until it could go back${called(way)}`
      : `the call came from ${way[0] ?? 'code the trace does not show'}${holder === undefined ? ', through a pointer no table that check knows holds now' : `, through ${holder.place} at ${hex(holder.at)}, which holds that address still`}${called(way.slice(1))}`,
    was: `${lies}${unloadedLast(oops, past)}`,
    why: whyGone(oops, past, holder, isReturn),
    wayOut: wayOut(holder, isReturn),
    address,
    holders: holders.map(({ place, at: where }) => ({ place, at: where })),
    module: past.module ?? null,
  }
}

/** Frames of the fault itself. */
const HANDLERS = new Set([
  ...['__die_body', '__die', 'page_fault_oops', 'exc_page_fault', 'asm_exc_page_fault', 'oops_end', 'panic'],
  ...[
    'do_page_fault',
    'page_fault',
    'no_context',
    'show_regs',
    'show_trace_log_lvl',
    '_printk',
    'vprintk_emit',
  ],
  ...['vprintk_store', 'oops_begin', 'bust_spinlocks', 'prb_final_commit', 'prb_reserve'],
])

const called = (way: readonly string[]): string => (way.length === 0 ? '' : ` (above it: ${way.join(' < ')})`)

const unloadedLast = ({ lastUnloaded }: Oops, { module }: Past): string => {
  if (lastUnloaded === undefined) return ''
  if (lastUnloaded === module) return '; it is the module that was unloaded last'
  return `; the module unloaded last is another one, ${lastUnloaded}`
}

function whyGone(oops: Oops, past: Past, holder: CheckEntry | undefined, isReturn: boolean): string {
  const { lastUnloaded } = oops
  const gone = past.module ?? 'its owner'
  if (isReturn)
    return `${gone} was unloaded while ${oops.comm} slept in a function it had called: nothing counts who is inside of a hook, so rmmod succeeds`
  if (holder === undefined) return `${gone} was unloaded, and somebody has kept the address of its function`
  if (lastUnloaded !== undefined && past.module !== undefined && lastUnloaded !== past.module)
    return `both had hooked ${holder.place}, ${gone} first: ${gone} was unloaded first, too, and when ${lastUnloaded} went it wrote back what it had found there, the address of a function that was gone`
  return `${gone} was unloaded and ${holder.place} was not put back`
}

function wayOut(holder: CheckEntry | undefined, isReturn: boolean): string {
  if (isReturn)
    return 'let a hook that sleeps hold a reference (try_module_get, module_put), and wait in the exit function until nobody is inside'
  const order = 'unload hooks in the reverse order of loading'
  if (holder === undefined) return order
  const back = holder.expectedAt === null ? '' : `; to repair a machine that still runs, write ${hex(holder.expectedAt)} (${holder.expected ?? ''}) to ${hex(holder.at)}` // prettier-ignore
  return `${order}${back}: until then every process that makes this call faults`
}

/** Where the address is still to be found. */
function holdersOf(target: Target, address: bigint): CheckEntry[] {
  return runChecks(target, [
    'syscalls',
    'lsm',
    'netfilter',
    'kprobes',
    'ftrace',
    'idt',
    'ops',
  ]).entries.filter(({ value }) => value === address)
}

/** What used to be at an address. */
export interface Past {
  readonly module: string | undefined
  readonly text: string
  /** into the function, where that is known */
  readonly offset: number | undefined
}

/** The module that had an address: of a dump with snapshots from an earlier one, else from what unloading left behind. */
export function whatWasAt(target: Target, address: bigint): Past {
  for (const { name } of target.snapshots) {
    if (name === target.snapshot?.name) break
    try {
      const hit = target.at(name).symbolize(address)
      if (hit?.module === undefined) continue
      const inside = hit.offset === 0 ? '' : `+0x${hit.offset.toString(16)}`
      return {
        module: hit.module,
        text: `${hit.name}${inside} of ${hit.module} (snapshot ${name})`,
        offset: hit.offset,
      }
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
    }
  }
  const [freed] = freed_modules_at(target, toVa(address, target.wordSize))
  if (freed === undefined) return { module: undefined, text: '', offset: undefined }
  const { name, at } = freed
  return { module: name, text: `module ${name}, whose struct module is in the freed page at physical ${hex(at)},`, offset: undefined } // prettier-ignore
}

/** A load or store went wrong. */
function noData(oops: Oops, address: bigint): OopsExplanation {
  const access = (oops.code & WRITE) !== 0 ? 'wrote to' : 'read from'
  const isNull = address < 4096n
  const what = isNull ? `a NULL pointer, ${address === 0n ? 'itself' : `at offset ${address} of what it should point to`}` : `${hex(address)}, which is not mapped` // prettier-ignore
  const module = /\[(\w+)\]/.exec(oops.ip)?.[1]
  const own = oops.ip.split('+')[0]
  return {
    what: `${oops.comm} (pid ${oops.pid}) ${access} ${what}, in the kernel (error code ${oops.code.toString(16).padStart(4, '0')})`,
    who: `the instruction is in ${oops.ip}${called(oops.trace.filter((name) => !HANDLERS.has(name) && name !== own).slice(0, 3))}`,
    was:
      module === undefined
        ? 'the code is the kernel’s own; the pointer it was given is not good'
        : `the code is that of module ${module}`,
    why: isNull ? 'a pointer that was never set, or a function that returns NULL on failure and was not asked' : 'a pointer to memory that has been given back, or was never one', // prettier-ignore
    wayOut: 'bt shows the caller; struct and kmem -s tell what the pointer’s owner is',
    address,
    holders: [],
    module: module ?? null,
  }
}

const unknownFault = (oops: Oops): OopsExplanation => ({
  what: `${oops.comm} (pid ${oops.pid}): ${oops.line}`,
  who: `the instruction is in ${oops.ip}${called(oops.trace.filter((name) => !HANDLERS.has(name)).slice(0, 3))}`,
  was: 'the log names no address that was at fault',
  why: 'not a page fault: the instruction itself was wrong, or a check of the kernel’s own failed',
  wayOut: 'bt shows the registers and the caller',
  address: null,
  holders: [],
  module: null,
})

/** A panic without a fault, or no crash at all. */
function withoutFault(target: Target, lines: readonly string[]): OopsExplanation {
  const { task, sysrq } = find_panic(target)
  const message = lines
    .map((line) => /Kernel panic - not syncing: (.*)/.exec(line)?.[1])
    .find((m) => m !== undefined)
  const who =
    task === undefined
      ? 'no task is known to have done it'
      : `${task.comm} (pid ${task.pid}) was running on CPU ${task.cpu}`
  const findings = runChecks(target).entries.filter(({ found }) => found)
  const [finding] = findings
  const modules = [...for_each_module(target)].map(module_name)
  return {
    what: message === undefined ? 'the log tells of no oops and no panic: this is a machine that was running' : `the kernel panicked: ${message}`, // prettier-ignore
    who: `${who}${sysrq ? ', and asked for it by sysrq (sysrq_handle_crash is on its stack)' : ''}`,
    was: 'no page fault, BUG or general protection fault is in the log: no address was at fault',
    why: finding === undefined ? `nothing that check looks at is out of place (${modules.length} modules loaded)` : `check finds ${findings.length}, the first: ${finding.place}: ${finding.verdict}`, // prettier-ignore
    wayOut: sysrq
      ? 'nothing is to be repaired'
      : 'bt -a shows what every processor did; log what was said last',
    address: null,
    holders: [],
    module: null,
  }
}

/** The five lines. */
export function oopsText(e: OopsExplanation): string {
  const rows = [
    ['what', e.what],
    ['who', e.who],
    ['was', e.was],
    ['why', e.why],
    ['way out', e.wayOut],
  ] as const
  return rows.map(([label, text]) => `${`${label}:`.padEnd(8)} ${text}\n`).join('')
}
