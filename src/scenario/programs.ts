/**
 * The programs of a scenario: started as children of processes that are there, watched for what they write and how
 * they end, and given what steps type, send and ask of them.
 */

import { CoredrillError } from '../base/errors.ts'
import { SI_USER } from '../abi/signal.ts'
import { S_IFDIR, S_IFREG } from '../abi/stat.ts'
import { hangUp, newTerminal, typeInto } from '../linux/drivers/tty/pty.ts'
import type { ExecImage } from '../linux/fs/exec.ts'
import { ensurePath } from '../linux/fs/namei.ts'
import { find_task_by_vpid } from '../linux/kernel/pid.ts'
import { runUntilDone, runUntilIdle } from '../linux/kernel/sched/run.ts'
import { send_signal_locked } from '../linux/kernel/signal.ts'
import type { Process, Program } from '../userland/process.ts'
import { abiOf } from '../userland/abi.ts'
import { bash, Jobs, script } from '../userland/bash.ts'
import { loaders, type Loaded } from '../userland/execve.ts'
import { BASH, findProgram, programs, SHELLS, SYSCALLS } from '../userland/programs.ts'
import { spawn, startInit } from '../userland/init.ts'
import { SyscallQueue, syscallProgram, WAKE_SIGNAL } from '../userland/syscalls.ts'
import type { ProcessSpec } from './grammar.ts'
import { Observed } from './observed.ts'
import { writeContents } from './files.ts'
import type { Run } from './run.ts'
import { ShellLines, type LineResult } from './shell-lines.ts'
import type { ShellStep } from './steps/shell.ts'
import type { SyscallStep } from './steps/syscall.ts'

/** The program that makes the system calls of `syscall` steps, and the one that starts others. */
const TESTER = 'syscalls'
const SHELL = 'bash'
/** Programs of documents, which there are for 32 bits, too. */
const NARROW = ['tcpcli', 'tcpserv', 'syscall', 'nc', 'forktest', 'opentest']
export const programNames = (): string[] => [
  ...Object.keys(programs),
  ...NARROW.map((name) => `${name}32`),
  SHELL,
  TESTER,
]

/** The program an argument list names: the last part of its path, without a login shell's dash. */
export const programOf = (argv: readonly string[]): string =>
  (argv[0]?.split('/').at(-1) ?? '').replace(/^-/, '')

/** A shell that has not forked by then is not going to. */
const FORK_LIMIT_NS = 1_000_000_000
const ENVIRONMENT = [
  'HOME=/root',
  'TERM=xterm-256color',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
]

/** What to start: the fields of a `run` step. */
export interface StartOptions {
  readonly argv: readonly string[]
  readonly name?: string | undefined
  readonly pid?: number | undefined
  readonly parent?: string | undefined
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly cwd?: string | undefined
  readonly tty?: string | undefined
  readonly cpu?: number | undefined
  readonly vsz?: number | undefined
  readonly rss?: number | undefined
  readonly stdin?: 'closed' | 'tty' | undefined
}

/** A program of the scenario. */
interface Started {
  readonly name: string
  readonly pid: number
  readonly argv: readonly string[]
  readonly observed: Observed
  /** terminal behind its standard input, by number */
  readonly terminal: number | undefined
  readonly cwd: string
  /** orders of the program `syscalls` */
  readonly queue: SyscallQueue | undefined
  /** what a shell is to start */
  readonly jobs: Jobs | undefined
}

/** A program about to be started. */
interface Plan {
  readonly image: ExecImage
  readonly program: Program
  readonly observed: Observed
  readonly queue: SyscallQueue | undefined
  readonly jobs: Jobs | undefined
}

/** A program as the dump's `programs` section has it. */
export interface ProgramRow {
  readonly name: string
  readonly pid: number
  readonly argv: readonly string[]
  readonly stdout: string
  readonly stderr: string
  readonly exit: { readonly status: number; readonly signal: number } | null
}

export class Programs {
  private readonly run: Run
  private readonly started: Started[] = []
  private readonly results = new Map<string, bigint>()
  private readonly lines: ShellLines

  constructor(run: Run) {
    this.run = run
    this.lines = new ShellLines(run)
    loaders(run.k).load = (p, path, argv, comm) => this.load(p, path, argv, comm)
  }

  /** The first process. */
  startInit(): void {
    startInit(this.run.k)
  }

  /** What is there before the first step: files, processes. */
  prepare(): void {
    const { k, scenario } = this.run
    for (const [path, file] of scenario.files) {
      const mode = file.mode ?? (file.kind === 'dir' ? 0o755 : 0o644)
      const { dentry } = ensurePath(k, path, (file.kind === 'dir' ? S_IFDIR : S_IFREG) | mode)
      if (dentry.d_inode !== null) writeContents(k, dentry.d_inode, file)
    }
    for (const process of scenario.processes) this.prepareProcess(process)
  }

  private prepareProcess(process: ProcessSpec): void {
    for (const pin of process.pins ?? []) this.run.arm(pin)
    const { ppid, name, pid, ...rest } = process
    this.launch({ ...rest, pid, name: name ?? `pid-${pid}` }, ppid, process.tty !== undefined)
    runUntilIdle(this.run.k)
  }

  /** A program begins: as a command given to a shell, where its parent is one that listens; else out of nothing. */
  start(options: StartOptions): void {
    const parent = options.parent === undefined ? undefined : this.find(options.parent)
    const own = options.uid ?? options.cwd ?? options.tty
    if (parent?.jobs?.busy === false && own === undefined) this.runInShell(options, parent, parent.jobs)
    else this.launch(options, parent?.pid ?? 1, false, parent)
  }

  private plan(options: StartOptions): Plan {
    const name = programOf(options.argv)
    const queue = name === TESTER ? new SyscallQueue() : undefined
    const jobs = name === SHELL ? new Jobs() : undefined
    const found = findProgram(name)
    const entry = found?.entry ?? (name === SHELL ? BASH : SYSCALLS)
    const body =
      queue !== undefined
        ? syscallProgram(queue)
        : jobs !== undefined
          ? bash(jobs, options.argv)
          : found?.entry.make(options.argv)
    if (body === undefined) this.run.fail(`no program ${name}`)
    const observed = new Observed(this.run.k)
    const [word = ''] = options.argv
    const image = {
      path: word.startsWith('/') ? word : entry.path,
      argv: options.argv,
      envp: ENVIRONMENT,
      vszKb: options.vsz === undefined ? entry.vszKb : Math.floor(options.vsz / 1024),
      rssKb: options.rss === undefined ? entry.rssKb : Math.floor(options.rss / 1024),
      ...(found?.narrow === true && { narrow: true }),
    }
    const program = observed.wrap(redirected(body, options.stdin === 'closed'))
    return { image, program, observed, queue, jobs }
  }

  /** The command is typed at the shell's terminal; the shell forks. */
  private runInShell(options: StartOptions, parent: Started, jobs: Jobs): void {
    const { k } = this.run
    const plan = this.plan(options)
    ensurePath(k, plan.image.path, S_IFREG | 0o755)
    let pid: number | undefined
    jobs.queue.push({
      image: plan.image,
      program: plan.program,
      begun: (child) => plan.observed.follow((pid = child)),
      ...(options.pid !== undefined && { pid: options.pid }),
      ...(options.cpu !== undefined && { cpu: options.cpu }),
    })
    this.type(parent.name, Buffer.from(`${options.argv.join(' ')}\n`))
    runUntilDone(k, () => pid !== undefined, k.clock.nowNs + FORK_LIMIT_NS)
    if (pid === undefined) this.run.fail(`${parent.name} does not read its terminal`)
    this.enter(options, plan, pid, undefined, parent)
  }

  private launch(options: StartOptions, ppid: number, session: boolean, parent?: Started): void {
    const plan = this.plan(options)
    const tty = ttyNumber(options.tty)
    const { pid } = spawn(this.run.k, {
      image: plan.image,
      program: plan.program,
      ppid,
      session,
      ...(options.pid !== undefined && { pid: options.pid }),
      ...(options.cpu !== undefined && { cpu: options.cpu }),
      ...(options.uid !== undefined && { uid: options.uid, gid: options.gid ?? options.uid }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(tty !== undefined && { tty }),
    })
    plan.observed.follow(pid)
    this.enter(options, plan, pid, tty, parent)
  }

  private enter(
    options: StartOptions,
    plan: Plan,
    pid: number,
    tty: number | undefined,
    parent: Started | undefined,
  ): void {
    this.started.push({
      name: options.name ?? `${programOf(options.argv)}-${pid}`,
      pid,
      argv: options.argv,
      observed: plan.observed,
      terminal: options.stdin === 'closed' ? undefined : (tty ?? parent?.terminal),
      cwd: options.cwd ?? parent?.cwd ?? '/',
      queue: plan.queue,
      jobs: plan.jobs,
    })
  }

  /**
   * insmod FILE with its parameters. The file is put into the directory of whoever runs it, or with the kernel's
   * modules when nobody does.
   */
  insmod(module: string, params: readonly string[], options: Omit<StartOptions, 'argv'>): void {
    const { k } = this.run
    const parent = options.parent === undefined ? undefined : this.find(options.parent)
    const folder = parent?.cwd ?? `/usr/lib/modules/${k.profile.release}/extra`
    ensurePath(k, `${folder}/${module}.ko`.replace('//', '/'), S_IFREG | 0o644)
    const file = parent === undefined ? `${folder}/${module}.ko` : `${module}.ko`
    this.run.refusals.watchModule(module)
    this.start({ ...options, argv: ['insmod', file, ...params] })
  }

  /** A line is typed at a shell. */
  shellLine(step: ShellStep): LineResult {
    const shell = this.find(step.process)
    const { jobs } = shell
    if (jobs === undefined) this.run.fail(`${step.process} does not run the program ${SHELL}`)
    if (jobs.busy) this.run.fail(`${step.process} is still busy with its last line`)
    const place = { name: shell.name, pid: shell.pid, terminal: this.terminalOf(step.process) }
    return this.lines.type(place, step, (line) => {
      jobs.queue.push(line)
      this.type(step.process, Buffer.from(`${step.line}\n`))
    })
  }

  /** A program begins that a shell, or another program, has found in the file system: it is watched like any other. */
  private load(p: Process, path: string, argv: readonly string[], comm?: string): Loaded | undefined {
    const name = programOf([path])
    const found = findProgram(name)
    const entry = found?.entry ?? (SHELLS.includes(name) ? BASH : undefined)
    if (entry === undefined) return undefined
    const body = found?.entry.make(argv) ?? script(argv, this.lines.plan)
    const observed = new Observed(this.run.k)
    observed.follow(p.pid)
    if (name === 'insmod') this.run.refusals.watchModule(programOf([argv[1] ?? '']).replace(/\.ko$/, ''))
    this.begin(p, argv, observed)
    const { vszKb, rssKb } = entry
    const image = {
      path,
      argv,
      envp: p.envp,
      vszKb,
      rssKb,
      ...(comm !== undefined && { comm }),
      ...(found?.narrow === true && { narrow: true }),
    }
    return { image, program: observed.wrap(body) }
  }

  private begin({ pid, task }: Process, argv: readonly string[], observed: Observed): void {
    const old = this.started.findIndex((s) => s.pid === pid && s.observed.exit === undefined)
    const ancestor = this.started.findLast((s) => s.pid === task.real_parent?.tgid)
    const program = programOf(argv)
    const was = old < 0 ? undefined : this.started.splice(old, 1)[0]
    this.started.push({
      name:
        this.lines.nameFor(program) ??
        (was?.name.endsWith(`-${pid}`) === false ? was.name : `${program}-${pid}`),
      pid,
      argv,
      observed,
      terminal: was?.terminal ?? ancestor?.terminal,
      cwd: ancestor?.cwd ?? '/',
      queue: undefined,
      jobs: undefined,
    })
  }

  private find(name: string): Started {
    return this.started.findLast((s) => s.name === name) ?? this.run.fail(`no process ${name}`)
  }

  pidOf(name: string): number {
    return this.find(name).pid
  }

  /** Everything it wrote to standard output. */
  output(name: string): string {
    return this.find(name).observed.stdout
  }

  /** Everything it wrote to standard error. */
  errors(name: string): string {
    return this.find(name).observed.stderr
  }

  /** How it ended; undefined while it has not. */
  exitOf(name: string): { status: number; signal: number } | undefined {
    return this.find(name).observed.exit
  }

  /** Bytes on the terminal behind its standard input. */
  type(name: string, bytes: Uint8Array): void {
    typeInto(this.run.k, newTerminal(this.run.k, this.terminalOf(name)), bytes)
  }

  closeStdin(name: string): void {
    hangUp(this.run.k, newTerminal(this.run.k, this.terminalOf(name)))
  }

  private terminalOf(name: string): number {
    return this.find(name).terminal ?? this.run.fail(`${name} has no terminal to type at`)
  }

  /** A signal from outside, as from the first process. */
  kill(name: string, signal: number): void {
    const { k } = this.run
    const task = find_task_by_vpid(k, this.pidOf(name))
    if (task === null) this.run.fail(`${name} has ended`)
    send_signal_locked(k, signal, { code: SI_USER, pid: 1, uid: 0 }, task, true)
  }

  /** A system call by a process that runs `syscalls`. */
  systemCall({ process, call, args, result, expect }: SyscallStep): void {
    const { queue } = this.find(process)
    if (queue === undefined) this.run.fail(`${process} does not run the program ${TESTER}`)
    if (queue.busy) this.run.fail(`${process} is still in its last system call`)
    const abi = abiOf(this.run.k, false)
    if (typeof call === 'string' && abi.socketcall(call) === undefined && abi.number(call) < 0)
      this.run.fail(`no system call ${call}`)
    const number = typeof call === 'bigint' ? Number(call) : call
    const order = {
      call: number,
      args: args.map((arg) => this.argument(arg)),
      result: undefined as number | undefined,
    }
    queue.orders.push(order)
    this.kill(process, WAKE_SIGNAL)
    runUntilIdle(this.run.k)
    const value = order.result === undefined ? undefined : BigInt(order.result)
    if (result !== undefined && value !== undefined) this.results.set(result, value)
    if (expect === undefined || value === expect) return
    this.run.fail(
      value === undefined ? 'the call has not returned' : `the call returned ${value}, not ${expect}`,
    )
  }

  private argument(arg: SyscallStep['args'][number]): bigint | Uint8Array {
    if (typeof arg === 'bigint') return arg
    if ('bytes' in arg) return arg.bytes
    if ('buffer' in arg) return new Uint8Array(Number(arg.buffer))
    if ('result' in arg) return this.results.get(arg.result) ?? this.run.fail(`no result ${arg.result}`)
    const bytes = Buffer.alloc(16)
    bytes.writeUInt16LE(2, 0)
    bytes.writeUInt16BE(arg.sockaddr.port, 2)
    bytes.set(arg.sockaddr.ip.split('.').map(Number), 4)
    return new Uint8Array(bytes)
  }

  rows(): ProgramRow[] {
    return this.started.map(({ name, pid, argv, observed }) => ({
      name,
      pid,
      argv,
      stdout: observed.stdout,
      stderr: observed.stderr,
      exit: observed.exit ?? null,
    }))
  }
}

/** `< /dev/null` */
function redirected(body: Program, closed: boolean): Program {
  if (!closed) return body
  return function* (p) {
    const fd = yield* p.open('/dev/null', 0)
    yield* p.syscall('dup2', fd, 0)
    yield* p.close(fd)
    return yield* body(p)
  }
}

/** `/dev/pts/2` → 2 */
function ttyNumber(path: string | undefined): number | undefined {
  if (path === undefined) return undefined
  const found = /^\/dev\/pts\/(\d+)$/.exec(path)
  if (found === null)
    throw new CoredrillError('SCENARIO', `${path} cannot be a terminal here: use /dev/pts/N`)
  return Number(found[1])
}
