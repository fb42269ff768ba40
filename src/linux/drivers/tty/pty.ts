/**
 * Pseudo-terminals: `/dev/pts/N`, which a shell and its programs hold as one open file. What they write goes to
 * the terminal; what somebody types there waits to be read.
 *
 * @see drivers/tty/pty.c, drivers/tty/tty_io.c, fs/devpts/inode.c
 * @remarks the line discipline is a queue of bytes: no editing, no echo; ^C is sent by the scenario as a signal; a process
 * in the background that reads waits, where it would be stopped by SIGTTIN
 */

import { toVa } from '../../../base/addr.ts'
import type { file, inode, iov_iter, kiocb, tty_struct } from '../../../btf/vmlinux.ts'
import { EAGAIN, ENXIO, ERESTARTSYS } from '../../../abi/errno.ts'
import { O_NONBLOCK } from '../../../abi/fcntl.ts'
import { EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM } from '../../../abi/poll.ts'
import { PIDTYPE_PGID, PIDTYPE_SID, TASK_INTERRUPTIBLE } from '../../../abi/sched.ts'
import { MINOR, MKDEV, S_IFCHR, UNIX98_PTY_SLAVE_MAJOR } from '../../../abi/stat.ts'
import { deref } from '../../deref.ts'
import { ensurePath } from '../../fs/namei.ts'
import type { Place } from '../../fs/fs_struct.ts'
import { poll_wait, type PollTable } from '../../fs/poll_wait.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { get_pid, task_pid_type } from '../../kernel/pid.ts'
import { __wake_up_sync_key, init_waitqueue_head } from '../../kernel/sched/wait.ts'
import { WAIT_ENTRY_BYTES, wait_event_interruptible } from '../../kernel/sched/wait_event.ts'
import { copy_from_iter, copy_to_iter, iov_iter_count } from '../../lib/iov_iter.ts'
import { kmalloc, kzalloc } from '../../mm/slab.ts'
import { chrdev_open } from '../../fs/char_dev.ts'

const TTY_MAGIC_BUFFER = 4096

/** A terminal from its outside. */
export interface Terminal {
  readonly index: number
  readonly tty: tty_struct
  /** The page read data waits in, and how much of it there is. */
  readonly buffer: number
  head: number
  tail: number
  hungUp: boolean
  /** Told what programs write. */
  output: (bytes: Uint8Array) => void
}

const terminals = perKernel(() => new Map<number, Terminal>())

/** @see drivers/tty/tty_io.c:tty_fops */
export function tty_init(k: Kernel): void {
  const fops = k.global('tty_fops', 'file_operations')
  fops.read_iter = k.text(tty_read)
  fops.write_iter = k.text(tty_write)
  fops.poll = k.text(tty_poll)
  fops.open = k.text(tty_open)
  fops.release = k.text(tty_release)
  const chr = k.global('def_chr_fops', 'file_operations')
  chr.open = k.text(chrdev_open)
  const nul = k.global('null_fops', 'file_operations')
  nul.read_iter = k.text(read_iter_null)
  nul.write_iter = k.text(write_iter_null)
}

/** A terminal `/dev/pts/index`. @returns the outside of it @see fs/devpts/inode.c:devpts_pty_new */
export function newTerminal(k: Kernel, index: number): Terminal {
  const known = terminals(k).get(index)
  if (known !== undefined) return known
  const tty = k.ref('tty_struct', kzalloc(k, k.types.sizeof('tty_struct')))
  tty.index = index
  tty.name.$setString(`pts${index}`)
  init_waitqueue_head(k, tty.read_wait)
  init_waitqueue_head(k, tty.write_wait)
  const terminal: Terminal = {
    index,
    tty,
    buffer: kmalloc(k, TTY_MAGIC_BUFFER),
    head: 0,
    tail: 0,
    hungUp: false,
    output: () => undefined,
  }
  terminals(k).set(index, terminal)
  devpts_pty_new(k, index)
  return terminal
}

/** Its directory entry. @see fs/devpts/inode.c:devpts_pty_new */
export const devpts_pty_new = kfunc('fs/devpts/inode.c', function devpts_pty_new(k, index: number): Place {
  return ensurePath(k, `/dev/pts/${index}`, S_IFCHR | 0o620, MKDEV(UNIX98_PTY_SLAVE_MAJOR, index))
})

/** Somebody types. */
export function typeInto(k: Kernel, terminal: Terminal, bytes: Uint8Array): void {
  for (const byte of bytes) k.mem.setU8(terminal.buffer + (terminal.head++ % TTY_MAGIC_BUFFER), byte)
  __wake_up_sync_key(k, terminal.tty.read_wait, TASK_INTERRUPTIBLE, EPOLLIN | EPOLLRDNORM)
}

/** The other end closes. */
export function hangUp(k: Kernel, terminal: Terminal): void {
  terminal.hungUp = true
  __wake_up_sync_key(k, terminal.tty.read_wait, TASK_INTERRUPTIBLE, EPOLLIN | EPOLLRDNORM)
}

/** @see drivers/tty/tty_io.c:tty_open */
const tty_open = kfunc('drivers/tty/tty_io.c', function tty_open(k, inode: inode, file: file): number {
  const terminal = terminals(k).get(MINOR(inode.i_rdev))
  if (terminal === undefined) return -ENXIO
  // struct tty_file_private { tty, file, list }
  const priv = kmalloc(k, k.types.sizeof('tty_file_private'))
  k.mem.setPointer(priv, terminal.tty.$va)
  k.mem.setPointer(priv + k.mem.wordSize, file.$va)
  k.mem.setPointer(file.$vaOf('private_data'), priv)
  const signal = deref(k.current.signal)
  if (signal.leader !== 0 && signal.tty === null) __proc_set_tty(k, terminal.tty)
  terminal.tty.count = terminal.tty.count + 1
  return 0
})

/** The session's terminal from now on, with its group in the foreground. @see drivers/tty/tty_jobctrl.c:__proc_set_tty */
function __proc_set_tty(k: Kernel, tty: tty_struct): void {
  deref(k.current.signal).tty = tty
  tty.$set('ctrl.pgrp', get_pid(task_pid_type(k.current, PIDTYPE_PGID)))
  tty.$set('ctrl.session', get_pid(task_pid_type(k.current, PIDTYPE_SID)))
}

/**
 * Is the running task in the background of its terminal?
 * @see drivers/tty/tty_jobctrl.c:__tty_check_change
 */
function inBackground(k: Kernel, tty: tty_struct): boolean {
  const own = deref(k.current.signal).tty
  if (own === null || !own.$equals(tty)) return false
  const foreground = k.mem.pointer(tty.$vaOf('ctrl.pgrp'))
  return foreground !== 0 && task_pid_type(k.current, PIDTYPE_PGID).$va !== foreground
}

const tty_release = kfunc('drivers/tty/tty_io.c', function tty_release(k, _inode: inode, file: file): number {
  const { tty } = terminalOf(k, file)
  tty.count = tty.count - 1
  return 0
})

function terminalOf(k: Kernel, file: file): Terminal {
  const priv = toVa(file.private_data, k.mem.wordSize)
  const tty = k.ref('tty_struct', k.mem.pointer(priv))
  return deref(terminals(k).get(tty.index))
}

/** @see drivers/tty/tty_io.c:tty_read */
const tty_read = kfunc('drivers/tty/tty_io.c', function* tty_read(k, iocb: kiocb, to: iov_iter): Generator<
  unknown,
  number
> {
  const file = iocb.ki_filp as file
  const terminal = terminalOf(k, file)
  return yield* n_tty_read(k, terminal, file, to)
})

const n_tty_read = kfunc(
  'drivers/tty/n_tty.c',
  function* n_tty_read(k, terminal: Terminal, file: file, to: iov_iter): Generator<unknown, number> {
    const ready = (): boolean =>
      (terminal.head !== terminal.tail && !inBackground(k, terminal.tty)) || terminal.hungUp
    if (!ready() && (file.f_flags & O_NONBLOCK) !== 0) return -EAGAIN
    const result = yield* wait_event_interruptible(k, terminal.tty.read_wait, ready)
    if (result !== 0) return -ERESTARTSYS
    let done = 0
    while (terminal.tail < terminal.head && iov_iter_count(to) > 0) {
      const at = terminal.tail % TTY_MAGIC_BUFFER
      const n = Math.min(terminal.head - terminal.tail, TTY_MAGIC_BUFFER - at, iov_iter_count(to))
      const copied = copy_to_iter(k, terminal.buffer + at, n, to)
      terminal.tail += copied
      done += copied
      if (copied < n) break
    }
    return done
  },
  { locals: WAIT_ENTRY_BYTES },
)

/** @see drivers/tty/tty_io.c:tty_write */
const tty_write = kfunc(
  'drivers/tty/tty_io.c',
  function tty_write(k, iocb: kiocb, from: iov_iter): number {
    const terminal = terminalOf(k, iocb.ki_filp as file)
    const scratch = k.local('list_head').$va
    let done = 0
    while (iov_iter_count(from) > 0) {
      const n = copy_from_iter(k, scratch, Math.min(16, iov_iter_count(from)), from)
      if (n === 0) break
      terminal.output(k.mem.read(scratch, n))
      done += n
    }
    return done
  },
  { locals: 16 },
)

/** @see drivers/tty/tty_io.c:tty_poll */
const tty_poll = kfunc('drivers/tty/tty_io.c', function tty_poll(k, file: file, wait: PollTable): number {
  const terminal = terminalOf(k, file)
  poll_wait(k, file, terminal.tty.read_wait, wait)
  poll_wait(k, file, terminal.tty.write_wait, wait)
  const readable = (terminal.head !== terminal.tail && !inBackground(k, terminal.tty)) || terminal.hungUp
  return EPOLLOUT | EPOLLWRNORM | (readable ? EPOLLIN | EPOLLRDNORM : 0)
})

/** @see drivers/char/mem.c:read_iter_null */
const read_iter_null = kfunc(
  'drivers/char/mem.c',
  function read_iter_null(_k, _iocb: kiocb, _to: iov_iter): number {
    return 0
  },
)
/** @see drivers/char/mem.c:write_iter_null */
const write_iter_null = kfunc(
  'drivers/char/mem.c',
  function write_iter_null(_k, _iocb: kiocb, from: iov_iter): number {
    const count = iov_iter_count(from)
    from.$set('count', 0n)
    return count
  },
)
