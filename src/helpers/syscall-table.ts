/** `sys_call_table`: which function answers each system call, and whose it is. */

import type { Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import type { SymbolHit } from '../symbols/symbol.ts'
import { KernelText, type SymbolicKernel } from './text.ts'

/** More system calls than any kernel has. */
const CALLS_MAX = 1024

export interface SystemCall {
  readonly nr: number
  /** the table's entry */
  readonly handler: bigint
  /** where it points into; undefined when that is no text with a name */
  readonly symbol: SymbolHit | undefined
}

/**
 * All entries of the table.
 *
 * @param table `sys_call_table` or `ia32_sys_call_table`
 * @throws LookupError NO_SYMBOL, FaultError
 * @remarks The table has no length in memory: it ends before the next symbol, and where entries stop being
 * addresses of code.
 */
export function system_calls(kernel: SymbolicKernel, table = 'sys_call_table'): SystemCall[] {
  const { mem, symbols } = kernel
  const symbol = symbols.findKernel(table)
  if (symbol === undefined) throw new LookupError('symbol', table)
  const text = new KernelText(kernel)
  const count = Math.min(Math.floor(symbol.size / mem.wordSize), CALLS_MAX)
  const calls: SystemCall[] = []
  for (let nr = 0; nr < count; nr++) {
    const handler = mem.word(symbol.va + nr * mem.wordSize)
    const va: Va = mem.pointer(symbol.va + nr * mem.wordSize)
    calls.push({ nr, handler, symbol: text.contains(va) ? text.lookup(va) : undefined })
  }
  while (calls.length > 0 && isPadding(calls[calls.length - 1])) calls.pop()
  return calls
}

const isPadding = (call: SystemCall | undefined): boolean =>
  call !== undefined && call.symbol === undefined && call.handler < 4096n
