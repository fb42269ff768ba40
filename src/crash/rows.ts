/** Shapes of `--json` rows that several reports share or that no report's own file names. docs/json.md is made of them. */

import type { Addr } from '../base/addr.ts'
import type { Registers } from '../helpers/registers.ts'
import type { PlainValue } from '../render/c-plain.ts'
import type { PsRow } from './ps-row.ts'
import type { Json } from './dump-command.ts'

/** A number and what it becomes, in `btop` and `ptob`. */
export interface ConvertedRow {
  readonly given: bigint
  readonly result: bigint
}

/** An address in `ptov`. */
export interface PtovRow {
  /** in the kernel's linear map */
  readonly virtual: bigint
  readonly physical: bigint
}

/** Whose trace it is. */
export interface TaskOfRow {
  readonly pid: number
  /** `struct task_struct *` */
  readonly task: bigint
  readonly cpu: number
  readonly comm: string
}

/** A task's trace in `bt`. */
export interface TraceRow extends TaskOfRow {
  readonly trace: readonly TraceEventRow[]
}

/** One thing a trace came across; the members tell which. */
export type TraceEventRow =
  TraceFrameRow | TraceRegistersRow | TraceStackRow | TraceStartRow | TraceProblemRow

/** A return address on the stack. */
export interface TraceFrameRow {
  /** the number before the line: 0 is the innermost */
  readonly level: number
  /** where on the stack the return address is */
  readonly rsp: bigint
  /** the return address */
  readonly text: bigint
  /** the function it lies in */
  readonly symbol: string
  /** bytes into the function */
  readonly offset: number
  readonly module?: string
  /** with -f and -F: the frame's words, the lowest address first */
  readonly words?: readonly bigint[]
}

/** Registers saved on the stack, or those of a task that ran. */
export interface TraceRegistersRow {
  readonly mode: 'user' | 'kernel'
  /** `struct pt_regs *`; absent where they come from the dump's notes */
  readonly at?: bigint
  /** the function the instruction pointer is in */
  readonly symbol?: string
  readonly offset?: number
  readonly registers: Registers
}

/** The trace goes on, on another stack. */
export interface TraceStackRow {
  /** the stack it left: `IRQ`, `DF`, `NMI` … */
  readonly left_stack: string
}

/** Where a trace of every text address begins (`-t`, `-T`, `-o`). */
export interface TraceStartRow {
  readonly start: bigint
  readonly symbol: string | null
}

/** The trace could not go on. */
export interface TraceProblemRow {
  readonly problem: string
}

/** A task's saved registers in `bt -e`. */
export interface TaskFramesRow extends TaskOfRow {
  readonly frames: readonly TraceRegistersRow[]
}

/** A CPU's stack in `bt -E`. */
export interface CpuFramesRow {
  readonly cpu: number
  readonly stack: string
  readonly frames: readonly TraceRegistersRow[]
}

/** A task in `bt -v` whose stack's end was written over. */
export interface OverflowRow {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  /** what stands where STACK_END_MAGIC should */
  readonly word: bigint
}

/** What `bt -O` switched to. */
export interface BtDefaultRow {
  readonly old: boolean
}

/** A task in `task`. */
export interface TaskRow extends TaskOfRow {
  /** every member, where none were named */
  readonly task_struct?: PlainValue
  readonly thread_info?: PlainValue
  /** those named; null for one that is in neither struct */
  readonly members?: Readonly<Record<string, PlainValue>>
}

/** A task's part of `foreach`. */
export interface ForeachRow {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  /** what the command answers for this task alone */
  readonly rows: Json
}

/** A task in the lists of {@link PsAncestorsRow}, {@link PsChildrenRow} and {@link PsThreadsRow}. */
export interface PsRelative {
  readonly pid: number
  readonly task: Addr
  readonly comm: string
}

/** A task in `ps -p`. */
export interface PsAncestorsRow extends PsRow {
  /** the eldest first */
  readonly ancestors: readonly PsRelative[]
}

/** A task in `ps -c`. */
export interface PsChildrenRow extends PsRow {
  readonly children: readonly PsRelative[]
}

/** A process in `ps -g`. */
export interface PsThreadsRow extends PsRow {
  /** the other threads of its process */
  readonly threads: readonly PsRelative[]
}

/** A task in `ps -t`. */
export interface PsTimesRow extends PsRow {
  readonly run_seconds: number
  /** since boot */
  readonly start_ns: number
  readonly user_ns: number
  readonly system_ns: number
}

/** A task in `ps -l` and `ps -m`. */
export interface PsLastRunRow extends PsRow {
  /** when it last got a CPU, by the scheduler's clock */
  readonly last_run_ns: number
}

/** A task in `ps -r`. */
export interface PsLimitsRow extends PsRow {
  readonly limits: readonly PsLimit[]
}

/** A resource limit; null is "unlimited". */
export interface PsLimit {
  /** `CPU`, `NOFILE` … */
  readonly name: string
  readonly current: number | null
  readonly maximum: number | null
}

/** A task in `ps -a`. */
export interface PsArgumentsRow extends PsRow {
  /** null when they cannot be read */
  readonly argv: readonly string[] | null
  readonly envp: readonly string[] | null
  /** why they cannot be read */
  readonly problem?: string
}

/** A CPU in `runq -T`, the one with the newest clock first. */
export interface RunqLagRow {
  readonly cpu: number
  readonly clock_ns: bigint
}

/** A signal by number, in `sig -l` and `sig -s`. */
export interface SignalRow {
  readonly sig: number
  readonly name: string
}

/** The machine in `sys`; what cannot be read is absent. */
export interface SysRow {
  readonly kernel?: string
  /** the file, with `[PARTIAL DUMP]` and the snapshot */
  readonly dumpfile?: string
  readonly cpus?: string
  readonly date?: string
  readonly uptime?: string
  /** over 1, 5 and 15 minutes */
  readonly load_average?: string
  readonly tasks?: string
  readonly nodename?: string
  readonly release?: string
  readonly version?: string
  readonly machine?: string
  readonly memory?: string
  readonly panic?: string
}

/** A system call in `sys -c`. */
export interface SystemCallRow {
  readonly nr: number
  readonly handler: bigint
  /** null where the handler has no name */
  readonly symbol: string | null
  /** bytes into the symbol: anything but 0 is wrong */
  readonly offset: number | null
  /** the module it is in; null for the kernel itself */
  readonly module: string | null
}

/** `sys -t` */
export interface TaintsRow {
  /** `tainted_mask` */
  readonly mask: bigint
  readonly letters: string
}

/** A number in `net -N`. */
export interface DottedQuadRow {
  readonly address: string
}

/** A CPU in `kmem -o`. */
export interface PerCpuOffsetRow {
  readonly cpu: number
  /** `__per_cpu_offset[cpu]` */
  readonly offset: bigint
}

/** A dump in `info`. */
export interface InfoRow {
  readonly file: string
  readonly release: string
  readonly snapshots: readonly SnapshotRow[]
  /** how many there are */
  readonly steps: number
  readonly programs: number
  readonly probes: number
  readonly packets: number
}

/** A snapshot of a dump. */
export interface SnapshotRow {
  readonly name: string
  /** the step after which it was taken */
  readonly step: number
  /** seconds since the scenario began */
  readonly time: string
}

/** A step in `info steps`. */
export interface StepRow {
  readonly step: number
  /** seconds since the scenario began */
  readonly time: string
  readonly name: string
  readonly summary: string
}

/** A program in `info programs`. */
export interface ProgramRow {
  readonly name: string
  readonly pid: number
  readonly argv: readonly string[]
  readonly stdout: string
  readonly stderr: string
  /** null while it runs */
  readonly exit: { readonly status: number; readonly signal: number } | null
}

/** A probe in `info probes`. */
export interface ProbeRow {
  readonly name: string
  /** what it printed */
  readonly lines: readonly string[]
}

/** A frame on a wire in `info packets`. */
export interface PacketRow {
  readonly number: number
  /** seconds since the scenario began */
  readonly time: string
  readonly device: string
  readonly direction: string
  readonly text: string
}
