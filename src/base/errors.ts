/**
 * Everything that can go wrong, as classes with fields: thrown where it happens, caught once (in the commands'
 * base class), printed as one line. Tests assert `code` and fields, never the English.
 */

import { hex, type Addr } from './addr.ts'

export type ErrorCode =
  | 'FAULT'
  | 'NO_SYMBOL'
  | 'NO_TYPE'
  | 'NO_MEMBER'
  | 'CORRUPT'
  | 'BAD_MAGIC'
  | 'BAD_VERSION'
  | 'BAD_FORMAT'
  | 'TRUNCATED'
  | 'UNREADABLE'
  | 'UNWRITABLE'
  | 'NO_SNAPSHOT'
  | 'NO_JOURNAL'
  | 'SCENARIO'
  | 'BAD_ARGUMENT'
  | 'IMPOSSIBLE'

/** Base of all errors a user can meet: `message` is one clear line, without the name of the command. */
export class CoredrillError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string) {
    super(message)
    this.name = new.target.name
    this.code = code
  }
}

export type FaultReason = 'unmapped' | 'excluded' | 'missing' | 'non-canonical'

/** Memory that cannot be read: not mapped by the page tables, or not in the dump. */
export class FaultError extends CoredrillError {
  readonly addr: Addr
  readonly size: number
  readonly reason: FaultReason
  constructor(a: bigint, size: number, reason: FaultReason) {
    super('FAULT', `cannot read ${size} byte${size === 1 ? '' : 's'} at ${hex(a)}: ${reason}`)
    this.addr = a as Addr
    this.size = size
    this.reason = reason
  }
}

/** A name the kernel (or its BTF) does not know. */
export class LookupError extends CoredrillError {
  readonly kind: 'symbol' | 'type' | 'member'
  readonly missing: string
  readonly nearest: readonly string[]
  constructor(kind: 'symbol' | 'type' | 'member', name: string, nearest: readonly string[] = []) {
    const hint = nearest.length > 0 ? ` (nearest: ${nearest.join(', ')})` : ''
    super(
      kind === 'symbol' ? 'NO_SYMBOL' : kind === 'type' ? 'NO_TYPE' : 'NO_MEMBER',
      `no ${kind} ${name}${hint}`,
    )
    this.kind = kind
    this.missing = name
    this.nearest = nearest
  }
}

/** Memory that can be read but contradicts itself. */
export class ValidationError extends CoredrillError {
  readonly addr: Addr
  readonly expected: string
  readonly found: string
  constructor(a: bigint, expected: string, found: string) {
    super('CORRUPT', `at ${hex(a)}: expected ${expected}, found ${found}`)
    this.addr = a as Addr
    this.expected = expected
    this.found = found
  }
}

/** A dump file that is not what it claims to be. `offset` is the file position that shows it. */
export class DumpError extends CoredrillError {
  readonly path: string
  readonly offset: number
  constructor(code: ErrorCode, path: string, offset: number, problem: string) {
    super(code, `${path}: ${problem}${offset >= 0 ? ` (at byte ${offset})` : ''}`)
    this.path = path
    this.offset = offset
  }
}

/** A command line that cannot be understood. */
export class UsageError extends CoredrillError {
  readonly argument: string
  constructor(argument: string, message: string) {
    super('BAD_ARGUMENT', message)
    this.argument = argument
  }
}

/** "Cannot happen": always a bug of ours. */
export class InvariantError extends CoredrillError {
  constructor(message: string) {
    super('IMPOSSIBLE', `internal error: ${message}`)
  }
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
