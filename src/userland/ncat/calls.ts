/** The system calls ncat makes, with the structures they take written into its own memory. */

import { F_GETFL, F_SETFL, O_NONBLOCK } from '../../abi/fcntl.ts'
import { AF_INET, AF_INET6 } from '../../abi/socket.ts'
import type { Va } from '../../base/addr.ts'
import type { Process } from '../process.ts'

/** What a system call gives: a value, or -errno. */
export type Call = Generator<unknown, number>

const FD_SETSIZE = 1024
const FD_SET_BYTES = FD_SETSIZE / 8
export const BUFFER_BYTES = 8192

/** ncat's memory: one buffer for data, room for the structures calls take. */
export class NcatMemory {
  readonly p: Process
  readonly buffer: Va
  private readonly small: Va
  private readonly sets: readonly [Va, Va, Va]
  private readonly timespec: Va

  constructor(p: Process) {
    this.p = p
    this.buffer = p.alloc(BUFFER_BYTES)
    this.small = p.alloc(256)
    this.sets = [p.alloc(FD_SET_BYTES), p.alloc(FD_SET_BYTES), p.alloc(FD_SET_BYTES)]
    this.timespec = p.alloc(16)
  }

  *call(name: string, ...args: readonly (number | bigint)[]): Call {
    return yield* this.p.syscall(name, ...args)
  }

  /** @param value the option's `int` */
  *setsockopt(fd: number, level: number, option: number, value: number): Call {
    this.p.writeUser(this.small, le32(value))
    return yield* this.call('setsockopt', fd, level, option, this.small, 4)
  }

  *getsockopt(fd: number, level: number, option: number): Call {
    this.p.writeUser(this.small, le32(0))
    this.p.writeUser(this.small + 8, le32(4))
    const error = yield* this.call('getsockopt', fd, level, option, this.small, this.small + 8)
    return error < 0 ? error : readLe32(this.p.readUser(this.small, 4))
  }

  *bind(fd: number, address: Uint8Array): Call {
    this.p.writeUser(this.small, address)
    return yield* this.call('bind', fd, this.small, address.length)
  }

  *connect(fd: number, address: Uint8Array): Call {
    this.p.writeUser(this.small, address)
    return yield* this.call('connect', fd, this.small, address.length)
  }

  /** accept(2), with room for a struct sockaddr_storage. */
  *accept(fd: number): Call {
    this.p.writeUser(this.small + 128, le32(128))
    return yield* this.call('accept', fd, this.small, this.small + 128)
  }

  /** fcntl(F_GETFL), then F_SETFL with O_NONBLOCK on or off: how ncat does both. */
  *setNonblock(fd: number, on: boolean): Call {
    const flags = yield* this.call('fcntl', fd, F_GETFL, 0)
    return yield* this.call('fcntl', fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
  }

  /**
   * select(2), which the C library makes as pselect6. Sets are replaced by what is ready.
   * @param timeoutNs undefined: wait as long as it takes
   */
  *select(read: Set<number>, write?: Set<number>, except?: Set<number>, timeoutNs?: number): Call {
    const given = [read, write ?? new Set<number>(), except]
    const nfds = Math.max(0, ...given.flatMap((set) => [...(set ?? [])].map((fd) => fd + 1)))
    const at = given.map((set, i) => {
      if (set === undefined) return 0
      this.p.writeUser(this.sets[i] as Va, fdSetBytes(set))
      return this.sets[i] as Va
    }) as [Va, Va, Va]
    if (timeoutNs !== undefined) this.p.writeUser(this.timespec, timespecBytes(timeoutNs))
    const ready = yield* this.call('pselect6', nfds, ...at, timeoutNs === undefined ? 0 : this.timespec, 0)
    for (const [i, set] of given.entries()) {
      if (set === undefined || ready < 0) continue
      const bytes = this.p.readUser(this.sets[i] as Va, FD_SET_BYTES)
      for (const fd of [...set]) if (((bytes[fd >> 3] ?? 0) & (1 << (fd & 7))) === 0) set.delete(fd)
    }
    return ready
  }

  /** Text to a descriptor. */
  *print(fd: number, text: string): Call {
    return yield* this.p.write(fd, text)
  }

  /** Something ncat complains of, on standard error, in the two writes it takes. */
  *complain(text: string): Call {
    yield* this.print(2, 'Ncat: ')
    return yield* this.print(2, text)
  }
}

const le32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
const readLe32 = (bytes: Uint8Array): number => Buffer.from(bytes).readInt32LE(0)

function fdSetBytes(set: ReadonlySet<number>): Uint8Array {
  const bytes = new Uint8Array(FD_SET_BYTES)
  for (const fd of set) if (fd < FD_SETSIZE) bytes[fd >> 3] = (bytes[fd >> 3] as number) | (1 << (fd & 7))
  return bytes
}

function timespecBytes(ns: number): Uint8Array {
  const bytes = Buffer.alloc(16)
  bytes.writeBigInt64LE(BigInt(Math.floor(ns / 1e9)), 0)
  bytes.writeBigInt64LE(BigInt(ns % 1e9), 8)
  return bytes
}

/** `struct sockaddr_in`. @param host dotted quad; all addresses when left out */
export function sockaddrIn(host: string | undefined, port: number): Uint8Array {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16LE(AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  bytes.set((host ?? '0.0.0.0').split('.').map(Number), 4)
  return bytes
}

/** `struct sockaddr_in6` of the unspecified address. */
export function sockaddrIn6(port: number): Uint8Array {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt16LE(AF_INET6, 0)
  bytes.writeUInt16BE(port, 2)
  return bytes
}
