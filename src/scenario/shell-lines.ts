/**
 * Lines typed at a shell: what the terminal shows of them, how they end, and which of the scenario's names the processes
 * they start have.
 */

import { posix } from 'node:path'
import { findModule } from './modules.ts'
import type { ShellStep } from './steps/shell.ts'
import type { Run } from './run.ts'
import { S_IFREG } from '../abi/stat.ts'
import type { task_struct } from '../btf/vmlinux.ts'
import { newTerminal } from '../linux/drivers/tty/pty.ts'
import { deref } from '../linux/deref.ts'
import { placeOf } from '../linux/fs/fs_struct.ts'
import { d_path, ensurePath, path_lookupat } from '../linux/fs/namei.ts'
import { readFileBytes } from '../linux/fs/pagecache.ts'
import type { Kernel } from '../linux/kernel.ts'
import { consoleText } from '../linux/kernel/printk/syslog.ts'
import { find_task_by_vpid } from '../linux/kernel/pid.ts'
import { runUntilDone, runUntilIdle } from '../linux/kernel/sched/run.ts'
import { allThreads } from '../linux/kernel/sched/thread.ts'
import type { Line } from '../userland/bash.ts'
import { BASH, findProgram, programs, SHELLS } from '../userland/programs.ts'

/** Virtual time a line may take, unless it says. */
const TIMEOUT_NS = 60_000_000_000
/** A script that calls scripts: as deep as files are looked through for the programs they name. */
const SCRIPT_DEPTH = 4

/** Where a shell is. */
export interface ShellPlace {
  readonly name: string
  readonly pid: number
  readonly terminal: number
}

/** What became of a line. */
export interface LineResult {
  readonly output: string
  /** undefined: it has not ended */
  readonly status: number | undefined
}

export class ShellLines {
  private readonly run: Run
  private readonly screens = new Map<number, Buffer[]>()
  /** The pids and names the processes of the line that runs now get. */
  private pids: number[] = []
  private names: Readonly<Record<string, string>> = {}
  private ready = false

  constructor(run: Run) {
    this.run = run
  }

  /** What the next fork of a shell gets. */
  readonly plan = (): { readonly pid?: number } => {
    const pid = this.pids.shift()
    return pid === undefined ? {} : { pid }
  }

  /** The scenario's name for a program that a shell has started. */
  nameFor(program: string): string | undefined {
    const { [program]: name, ...rest } = this.names
    this.names = rest
    return name
  }

  /** Type a line, and wait for what it does in the foreground. @param give hands it to the shell */
  type(shell: ShellPlace, step: ShellStep, give: (line: Line) => void): LineResult {
    const { k } = this.run
    this.putFiles(shell, step.line)
    this.pids = [...(step.pids ?? [])]
    this.names = step.names ?? {}
    const screen = this.screen(shell.terminal)
    const from = screen.length
    const unplug = step.console === true ? this.console(screen) : () => undefined
    let status: number | undefined
    give({ text: step.line, plan: this.plan, ended: (value) => (status = value) })
    const limit = k.clock.nowNs + (step.timeout ?? TIMEOUT_NS)
    if (step.background !== true) {
      runUntilDone(k, () => status !== undefined, limit)
      if (status === undefined) this.run.fail(`the line has not ended: ${this.waiting(shell)}`)
    }
    runUntilIdle(k)
    unplug()
    return { output: shown(Buffer.concat(screen.slice(from))), status }
  }

  /** Everything a terminal has shown, from the first line typed at it. */
  private screen(index: number): Buffer[] {
    let screen = this.screens.get(index)
    if (screen === undefined) {
      const pieces: Buffer[] = []
      screen = pieces
      this.screens.set(index, pieces)
      newTerminal(this.run.k, index).output = (bytes) => pieces.push(Buffer.from(bytes))
    }
    return screen
  }

  /** From now on the screen shows what the kernel prints. @returns what ends it */
  private console(screen: Buffer[]): () => void {
    const { k } = this.run
    let { next } = consoleText(k, 0n)
    return k.watch('vprintk_emit', {
      entered: () => undefined,
      returned: () => {
        const printed = consoleText(k, next)
        next = printed.next
        if (printed.text !== '') screen.push(Buffer.from(printed.text, 'latin1'))
      },
    })
  }

  /** What a line's processes wait for, for whoever wonders why it does not end. */
  private waiting({ pid }: ShellPlace): string {
    const { k } = this.run
    const family = allThreads(k).filter(
      ({ task }) => task.pid !== pid && isBelow(task, pid) && task.exit_state === 0,
    )
    if (family.length === 0) return 'its shell does not read the terminal'
    return family
      .map(({ task, frames }) => {
        const names = frames.map(({ name }) => name).filter((name) => !SLEEPERS.has(name))
        return `${task.comm.$string()} (pid ${task.pid}) waits in ${names.at(-1) ?? 'user space'}`
      })
      .join(', ')
  }

  /** Programs and modules a line names lie where it names them, as if they had just been compiled there. */
  private putFiles(shell: ShellPlace, text: string): void {
    const { k } = this.run
    if (!this.ready) {
      this.ready = true
      for (const { path, setuid } of Object.values(programs)) put(k, path, setuid === true ? 0o4755 : 0o755)
      for (const name of SHELLS) put(k, posix.join(posix.dirname(BASH.path), name), 0o755)
    }
    this.putNamed(directoryOf(k, shell.pid), text, SCRIPT_DEPTH)
  }

  private putNamed(folder: string, text: string, depth: number): void {
    const { k } = this.run
    for (const word of text.split(/[\s;&|()<>'"]+/)) {
      const path = posix.resolve(folder, word)
      const base = posix.basename(word)
      const found = word === '' ? -1 : path_lookupat(k, path)
      if (typeof found !== 'number') {
        const inode = deref(found.dentry.d_inode)
        const script =
          inode.i_size > 0n ? Buffer.from(readFileBytes(k, inode, 0, 65_536)).toString('latin1') : ''
        if (depth > 0 && word.includes('/') && script.startsWith('#!'))
          this.putNamed(folder, script, depth - 1)
      } else if (/^[\w-]+\.ko$/.test(base) && findModule(base) !== undefined) put(k, path, 0o644)
      else if (word.includes('/') && findProgram(base) !== undefined) put(k, path, 0o755)
    }
  }
}

/** Functions every sleeper is in. */
const SLEEPERS: ReadonlySet<string> = new Set(['schedule', '__schedule', 'schedule_timeout'])

/** Is a task the process or one of those it has started? */
function isBelow(task: task_struct, pid: number): boolean {
  let at: task_struct | null = task
  for (let hops = 0; at !== null && hops < 64; hops++) {
    if (at.pid === pid) return true
    if (at.pid <= 1) return false
    at = at.real_parent
  }
  return false
}

function put(k: Kernel, path: string, mode: number): void {
  if (typeof path_lookupat(k, path) === 'number') ensurePath(k, path, S_IFREG | mode)
}

/** A process's working directory. */
function directoryOf(k: Kernel, pid: number): string {
  const task = find_task_by_vpid(k, pid)
  const fs = task?.$ref('fs') ?? null
  if (fs === null) return '/'
  return d_path(k, placeOf(fs, 'pwd'))
}

/** What a terminal makes of bytes: it shows nothing for NUL. */
const shown = (bytes: Buffer): string => bytes.toString('utf8').replaceAll('\0', '')
