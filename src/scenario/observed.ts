/** A program watched from outside: what it writes, and how it ends. The machine does not notice. */

import type { Kernel } from '../linux/kernel.ts'
import type { Process, Program } from '../userland/process.ts'

/** More than this of a program's output is not kept. */
const OUTPUT_MAX = 1 << 20

export class Observed {
  exit: { readonly status: number; readonly signal: number } | undefined
  private readonly k: Kernel
  private readonly written: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] }
  private kept = 0

  constructor(k: Kernel) {
    this.k = k
  }

  get stdout(): string {
    return Buffer.concat(this.written[1]).toString('utf8')
  }
  get stderr(): string {
    return Buffer.concat(this.written[2]).toString('utf8')
  }

  /** The program, with its writes to standard output and error noted, and a stop after every system call. */
  wrap(program: Program): Program {
    return (p) => {
      // a program this one replaces was watched, too
      Reflect.deleteProperty(p, 'syscall')
      const original = p.syscall.bind(p)
      const note = (fd: number, bytes: Uint8Array): void => this.note(fd, bytes)
      p.syscall = function* (this: Process, nr, ...args): Generator<unknown, number> {
        const [fd, at, size] = args.map(Number) as [number, number, number]
        const isWrite = (nr === 'write' || nr === 1) && (fd === 1 || fd === 2) && size <= OUTPUT_MAX
        const bytes = isWrite ? p.readUser(at, size) : undefined
        const result = yield* original(nr, ...args)
        if (bytes !== undefined && result > 0) note(fd, bytes.subarray(0, result))
        // back in user mode: here the machine may be looked at
        yield
        return result
      }
      return program(p)
    }
  }

  private note(fd: number, bytes: Uint8Array): void {
    if (this.kept > OUTPUT_MAX) return
    this.kept += bytes.length
    this.written[fd === 1 ? 1 : 2].push(bytes)
  }

  /** Learn how the process of this pid ends. */
  follow(pid: number): void {
    const stop = this.k.watch('do_exit', {
      entered: (_info, args) => {
        if (this.k.current.tgid !== pid) return
        const code = Number(args[0])
        this.exit = { status: (code >> 8) & 0xff, signal: code & 0x7f }
        stop()
      },
      returned: () => undefined,
    })
  }
}
