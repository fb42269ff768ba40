/**
 * A process from its own side: a program is a coroutine that makes system calls, with its memory as the kernel
 * maps it. Programs know nothing of the kernel's structures.
 */

import { InvariantError } from '../base/errors.ts'
import type { task_struct } from '../btf/vmlinux.ts'
import { ENOSYS, isError } from '../abi/errno.ts'
import { SIGCHLD } from '../abi/signal.ts'
import { takeHandlers } from '../linux/arch/x86/entry/common.ts'
import { faultIn } from '../linux/mm/user_pages.ts'
import { deref } from '../linux/deref.ts'
import type { Kernel } from '../linux/kernel.ts'
import { request } from '../linux/kernel/syscalls.ts'
import { loadUserPages } from '../linux/kernel/sched/switch.ts'
import type { ExecImage } from '../linux/fs/exec.ts'
import { abiOf, type Abi } from './abi.ts'

/** What runs in a process; its value is the exit status. */
export type Program = (p: Process) => Generator<unknown, number>

/** A signal handler of a program. */
export type Handler = (p: Process, sig: number) => Generator<unknown, void>

/** Room for arguments below the stack pointer that system calls are given. */
const RED_ZONE = 0x200

/** Result of a system call that the caller does not expect to fail. */
export class SyscallError extends InvariantError {
  readonly errno: number
  constructor(name: string, errno: number) {
    super(`${name} failed: errno ${errno}`)
    this.errno = errno
  }
}

export class Process {
  readonly k: Kernel
  readonly task: task_struct
  /** The arguments the running program was started with. */
  argv: readonly string[] = []
  /** `NAME=value`, as the running program was given them. */
  envp: readonly string[] = []
  /** How its words reach the kernel. */
  abi: Abi
  /** Bytes of the heap handed out. */
  private heapUsed = 0
  private readonly handlers = new Map<number, Handler>()

  constructor(k: Kernel, task: task_struct) {
    this.k = k
    this.task = task
    this.abi = abiOf(k, false)
  }

  get pid(): number {
    return this.task.tgid
  }

  /**
   * A system call by number, or by its name in the C library: a call on sockets goes through socketcall(2) where
   * this kind of program has no other way.
   * @returns what the kernel left in `rax`: -errno on failure
   */
  *syscall(nr: number | string, ...args: (number | bigint)[]): Generator<unknown, number> {
    const call = typeof nr === 'string' ? this.abi.socketcall(nr) : undefined
    if (call === undefined) return yield* this.enter(typeof nr === 'number' ? nr : this.abi.number(nr), args)
    const mark = this.mark()
    const result = yield* this.enter(this.abi.number('socketcall'), [call, this.words(args)])
    this.release(mark)
    return result
  }

  private *enter(number: number, args: readonly (number | bigint)[]): Generator<unknown, number> {
    const mm = this.task.mm
    const user = {
      ip: mm === null ? 0n : mm.start_code + 0x1954n,
      sp: mm === null ? 0n : mm.start_stack - BigInt(RED_ZONE),
      args: args.map((arg) => BigInt.asUintN(64, BigInt(arg))),
    }
    const result = yield* this.abi.enter(this.k, number, user)
    for (const { sig } of takeHandlers(this.k, this.k.thread)) {
      const handler = this.handlers.get(sig)
      if (handler !== undefined) yield* handler(this, sig)
    }
    return result
  }

  /** As {@link syscall}, for calls that must work. @throws SyscallError */
  *must(nr: string, ...args: (number | bigint)[]): Generator<unknown, number> {
    const result = yield* this.syscall(nr, ...args)
    if (isError(result)) throw new SyscallError(nr, -result)
    return result
  }

  /** Memory of the program's own, from its heap; never given back. */
  alloc(bytes: number): number {
    const mm = deref(this.task.mm)
    const at = Number(mm.start_brk) + 0x2a0 + this.heapUsed
    this.heapUsed += Math.ceil(bytes / 16) * 16
    if (BigInt(at + bytes) > mm.brk) throw new InvariantError(`process ${this.pid}: the heap is full`)
    return at
  }

  /** Give back everything allocated after a mark, for programs that run long. */
  mark(): number {
    return this.heapUsed
  }
  release(mark: number): void {
    this.heapUsed = mark
  }

  writeUser(at: number, bytes: Uint8Array): void {
    this.touch(at, bytes.length)
    this.k.mem.write(at, bytes)
  }

  readUser(at: number, size: number): Uint8Array {
    this.touch(at, size)
    return this.k.mem.read(at, size)
  }

  readInt(at: number, size: 1 | 2 | 4 | 8 = 4): number {
    return Number(this.readUser(at, size).reduceRight((v, byte) => (v << 8n) | BigInt(byte), 0n))
  }

  /** A NUL-terminated string in the program's memory. */
  string(text: string): number {
    return this.data(Buffer.from(`${text}\0`, 'utf8'))
  }

  /** Bytes in the program's memory. */
  data(bytes: Uint8Array): number {
    const at = this.alloc(bytes.length)
    this.writeUser(at, bytes)
    return at
  }

  /** Machine words, one after the other, in the program's memory. */
  words(values: readonly (number | bigint)[]): number {
    const { wordSize } = this.abi
    const bytes = Buffer.alloc(values.length * wordSize)
    values.forEach((value, i) => {
      if (wordSize === 8) bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), i * 8)
      else bytes.writeUInt32LE(Number(BigInt.asUintN(32, BigInt(value))), i * 4)
    })
    return this.data(bytes)
  }

  private touch(at: number, size: number): void {
    const mm = deref(this.task.mm)
    if (this.k.current.$va !== this.task.$va) throw new InvariantError(`process ${this.pid} is not running`)
    loadUserPages(this.k)
    if (faultIn(this.k, mm, at, size) < size)
      throw new InvariantError(`segmentation fault at ${at.toString(16)}`)
  }

  *exit(status: number): Generator<unknown, never> {
    yield* this.syscall('exit_group', status)
    throw new InvariantError('exit returned')
  }

  /** fork(2): the child runs `program` in a copy of this process. @returns the child's pid */
  *fork(
    program: Program,
    options: { readonly pid?: number; readonly cpu?: number; readonly call?: 'clone' | 'fork' } = {},
  ): Generator<unknown, number> {
    const { heapUsed } = this
    const { call = 'clone', ...wanted } = options
    request(this.k, {
      ...wanted,
      child: (task) => {
        const child = new Process(this.k, task)
        child.heapUsed = heapUsed
        child.argv = this.argv
        child.envp = this.envp
        child.abi = this.abi
        for (const [sig, handler] of this.handlers) child.handlers.set(sig, handler)
        return runProgram(child, program)
      },
    })
    const pid = yield* call === 'fork' ? this.syscall('fork') : this.syscall('clone', SIGCHLD)
    // a call that was refused on its way has left the request behind
    if (pid < 0) request(this.k, {})
    return pid
  }

  /** execve(2), then run `program` to its end. @returns only on failure: -errno */
  *exec(image: ExecImage, program: Program): Generator<unknown, number> {
    request(this.k, { exec: image })
    const result = yield* this.syscall('execve', 0, 0, 0)
    if (isError(result)) return result
    this.argv = image.argv
    this.envp = image.envp
    this.abi = abiOf(this.k, image.narrow === true)
    this.heapUsed = 0
    this.handlers.clear()
    return yield* runProgram(this, program)
  }

  /** wait4(2) for a child. @returns its pid and status, or -errno */
  *wait(pid = -1, options = 0): Generator<unknown, { pid: number; status: number }> {
    const mark = this.mark()
    const status = this.alloc(4)
    const result = yield* this.syscall('wait4', pid, status, options, 0)
    const found = { pid: result, status: result > 0 ? this.readInt(status) : 0 }
    this.release(mark)
    return found
  }

  /** @returns the two descriptors */
  *pipe(): Generator<unknown, readonly [number, number]> {
    const mark = this.mark()
    const fds = this.alloc(8)
    // as the C library does where the kernel is older than 2.6.27
    const made = yield* this.syscall('pipe2', fds, 0)
    if (made === -ENOSYS) yield* this.must('pipe', fds)
    else if (isError(made)) throw new SyscallError('pipe2', -made)
    const ends = [this.readInt(fds), this.readInt(fds + 4)] as const
    this.release(mark)
    return ends
  }

  *write(fd: number, bytes: Uint8Array | string): Generator<unknown, number> {
    const mark = this.mark()
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes
    const result = yield* this.syscall('write', fd, this.data(data), data.length)
    this.release(mark)
    return result
  }

  /** @returns the bytes read, or -errno */
  *read(fd: number, size: number): Generator<unknown, Uint8Array | number> {
    const mark = this.mark()
    const at = this.alloc(size)
    const result = yield* this.syscall('read', fd, at, size)
    const bytes = result < 0 ? result : this.readUser(at, result)
    this.release(mark)
    return bytes
  }

  *open(path: string, flags: number, mode = 0): Generator<unknown, number> {
    const mark = this.mark()
    const result = yield* this.syscall('openat', -100, this.string(path), flags, mode)
    this.release(mark)
    return result
  }

  *close(fd: number): Generator<unknown, number> {
    return yield* this.syscall('close', fd)
  }

  *sleep(ns: number): Generator<unknown, number> {
    const mark = this.mark()
    const at = this.words([Math.floor(ns / 1e9), Math.round(ns % 1e9)])
    const result = yield* this.syscall('clock_nanosleep', 1, 0, at, 0)
    this.release(mark)
    return result
  }

  /** sigaction(2). @param handler a coroutine, SIG_IGN or SIG_DFL */
  *signal(sig: number, handler: Handler | bigint, flags = 0): Generator<unknown, number> {
    const mark = this.mark()
    const code = typeof handler === 'bigint' ? handler : deref(this.task.mm).start_code + 0x74a0n
    // handler, flags with SA_RESTORER, restorer, and 64 bits of mask
    const act = this.words([code, flags | 0x4000000, 0, 0, ...(this.abi.wordSize === 4 ? [0] : [])])
    const result = yield* this.syscall('rt_sigaction', sig, act, 0, 8)
    if (typeof handler === 'function') this.handlers.set(sig, handler)
    else this.handlers.delete(sig)
    this.release(mark)
    return result
  }

  *kill(pid: number, sig: number): Generator<unknown, number> {
    return yield* this.syscall('kill', pid, sig)
  }
}

/** A program and its exit. */
export function* runProgram(p: Process, program: Program): Generator<unknown, never> {
  const status = yield* program(p)
  return yield* p.exit(status)
}
