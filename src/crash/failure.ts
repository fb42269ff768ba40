/** An error as its one line and its exit status: the only place that turns exceptions into words. */

import { CoredrillError } from '../base/errors.ts'
import { Misuse, usageText } from './misuse.ts'

export interface Failure {
  /** what to print, final newline included */
  readonly text: string
  /** 2: the command line was wrong; 1: anything else */
  readonly status: 1 | 2
}

/**
 * @param command   name of the command that failed
 * @param synopsis  its synopsis, printed when it was misused
 * @remarks With COREDRILL_DEBUG in the environment the stack follows.
 */
export function failureOf(command: string, synopsis: string, error: unknown): Failure {
  if (error instanceof Misuse && synopsis !== '') {
    return { text: usageText(command, synopsis, error.reason), status: 2 }
  }
  const known = error instanceof CoredrillError || isSystemError(error)
  const message = error instanceof Error ? error.message : String(error)
  const line = `${command}: ${known ? '' : 'internal error: '}${message.replaceAll(/\s*\n\s*/g, ' ')}\n`
  const stack =
    process.env['COREDRILL_DEBUG'] !== undefined && error instanceof Error ? error.stack : undefined
  const status = error instanceof CoredrillError && error.code === 'BAD_ARGUMENT' ? 2 : 1
  return { text: stack === undefined ? line : `${line}${stack}\n`, status }
}

/** An error of the operating system (`ENOENT: …`): its message is meant for people already. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error
}
