/** The first process and others that exist before a scenario begins: they sleep, and collect what dies. */

import type { task_struct } from '../btf/vmlinux.ts'
import { S_IFDIR, S_IFREG } from '../abi/stat.ts'
import { PF_KTHREAD } from '../abi/sched.ts'
import { SIGCHLD } from '../abi/signal.ts'
import { newTerminal, type Terminal } from '../linux/drivers/tty/pty.ts'
import { deref } from '../linux/deref.ts'
import { ensurePath } from '../linux/fs/namei.ts'
import { runInit } from '../linux/init/rest_init.ts'
import type { Kernel } from '../linux/kernel.ts'
import { becomeUser } from '../linux/kernel/cred.ts'
import { kernel_clone } from '../linux/kernel/fork.ts'
import { find_task_by_vpid } from '../linux/kernel/pid.ts'
import { runUntilIdle } from '../linux/kernel/sched/run.ts'
import { newUserThread } from '../linux/kernel/syscalls.ts'
import type { ExecImage } from '../linux/fs/exec.ts'
import { Process, type Program } from './process.ts'

const ENVIRONMENT = ['HOME=/', 'TERM=linux', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin']

/** systemd, as far as it matters: waits for children for ever. */
const systemd: Program = function* (p) {
  yield* p.signal(SIGCHLD, function* () {
    yield* p.wait(-1, 1)
  })
  for (;;) {
    const { pid } = yield* p.wait()
    if (pid < 0) yield* p.syscall('pause')
  }
}

/** Start the first process. */
export function startInit(k: Kernel): void {
  runInit(k, (task) => {
    const p = new Process(k, task)
    const image = {
      path: '/usr/lib/systemd/systemd',
      argv: ['/sbin/init'],
      envp: ENVIRONMENT,
      vszKb: 168_000,
      rssKb: 12_400,
    }
    return p.exec(image, systemd)
  })
  runUntilIdle(k)
}

/** A process that is to be there. */
export interface SpawnOptions {
  readonly image: ExecImage
  readonly program: Program
  readonly pid?: number
  /** pid of the parent; 1 when left out */
  readonly ppid?: number
  readonly cpu?: number
  readonly uid?: number
  readonly gid?: number
  readonly cwd?: string
  /** Number of the pseudo-terminal that is standard input, output and error: one open file. */
  readonly tty?: number
  /** The leader of a session of its own. */
  readonly session?: boolean
}

/**
 * Create a process outside of any program's doing: its parent does not notice. It runs when the machine does.
 * @returns its task
 */
export function spawn(k: Kernel, options: SpawnOptions): task_struct {
  const parent = deref(find_task_by_vpid(k, options.ppid ?? 1))
  if (options.cwd !== undefined) ensurePath(k, options.cwd, S_IFDIR | 0o755)
  ensurePath(k, options.image.path, S_IFREG | 0o755)
  if (options.tty !== undefined) newTerminal(k, options.tty)
  const child = kernel_clone(k, {
    flags: 0,
    exitSignal: SIGCHLD,
    parent,
    coroutine: (task) => newUserThread(k, start(new Process(k, task), options)),
    ...(options.pid === undefined ? {} : { pid: options.pid }),
    ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
  })
  child.flags = child.flags & ~PF_KTHREAD
  return child
}

/** What the child does before it becomes its program. */
function* start(p: Process, options: SpawnOptions): Generator<unknown, number> {
  if (options.session === true) yield* p.syscall('setsid')
  if (options.cwd !== undefined) yield* p.syscall('chdir', p.string(options.cwd))
  if (options.tty !== undefined) {
    for (const fd of [0, 1, 2]) yield* p.syscall('close', fd)
    const fd = yield* p.open(`/dev/pts/${options.tty}`, 2)
    yield* p.syscall('dup', fd)
    yield* p.syscall('dup', fd)
  }
  if (options.uid !== undefined) becomeUser(p.k, p.task, options.uid, options.gid ?? options.uid)
  return yield* p.exec(options.image, options.program)
}

/** A shell at a terminal, waiting for its foreground job or for input. */
export const shell: Program = function* (p) {
  for (;;) {
    const { pid } = yield* p.wait()
    if (pid >= 0) continue
    const line = yield* p.read(0, 1024)
    if (typeof line === 'number' || line.length === 0) return 0
  }
}

/** The terminal of a number, made if need be. */
export const terminal = (k: Kernel, index: number): Terminal => newTerminal(k, index)
