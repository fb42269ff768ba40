/** A command line that a crash command cannot understand: answered with the command's synopsis. */

import { UsageError } from '../base/errors.ts'

/**
 * Throw it from `show` (or let the option parser throw it) and the base class prints
 *
 *     Usage:
 *       ps [-k|-u] …
 *     Enter "help ps" for details.
 *
 * @remarks With a `reason`, the line `cmd: reason` comes first, as crash does for some commands.
 */
export class Misuse extends UsageError {
  readonly reason: string | undefined
  constructor(reason?: string, argument = '') {
    super(argument, reason ?? 'command line not understood')
    this.reason = reason
  }
}

/** The lines crash prints for a misused command, with the final newline. */
export function usageText(command: string, synopsis: string, reason?: string): string {
  const first = reason === undefined ? '' : `${command}: ${reason}\n`
  return `${first}Usage:\n  ${synopsis}\nEnter "help ${command}" for details.\n`
}
