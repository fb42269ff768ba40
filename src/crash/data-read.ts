/** Reading memory for a command, with crash's words when it cannot be. */

import { hex, toUserVa } from '../base/addr.ts'
import { CoredrillError, FaultError } from '../base/errors.ts'
import type { Memory } from '../memory/memory.ts'
import type { Target } from '../target/target.ts'

export type Space = 'kernel' | 'user' | 'physical'

const SPACE_NAMES = {
  kernel: 'kernel virtual address',
  user: 'user virtual address',
  physical: 'physical address',
} as const

/**
 * What crash says of memory it cannot read.
 *
 * @param what the text after `type:`
 */
export class ReadError extends CoredrillError {
  readonly fault: FaultError
  constructor(fault: FaultError, space: Space, address: bigint, what: string) {
    const where = `${SPACE_NAMES[space]}: ${hex(address)}  type: "${what}"`
    const excluded = fault.reason === 'excluded' ? `page excluded: ${where}` : undefined
    const missing =
      space === 'physical' || fault.reason === 'missing' ? `read error: ${where}` : `invalid ${where}`
    super('FAULT', excluded ?? missing)
    this.fault = fault
  }
}

/** @throws ReadError */
export function readUnit(
  mem: Memory | undefined,
  space: Space,
  at: bigint,
  size: number,
  what: string,
): Uint8Array {
  const va = mem === undefined ? NaN : space === 'physical' ? Number(at) : toUserVa(at, mem.wordSize)
  try {
    if (mem === undefined || Number.isNaN(va)) throw new FaultError(at, size, 'unmapped')
    return mem.read(va, size)
  } catch (error) {
    if (error instanceof FaultError) throw new ReadError(error, space, at, what)
    throw error
  }
}

/** A pointer in kernel memory. @throws ReadError */
export function readPointer(target: Target, at: bigint, what: string): bigint {
  const bytes = readUnit(target.mem, 'kernel', at, target.wordSize, what)
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}
