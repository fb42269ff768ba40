/** What stands where memory could not be read. */

import { hex } from '../base/addr.ts'
import { FaultError, ValidationError } from '../base/errors.ts'

/** Errors that mean damaged or missing memory: the next row may be fine. */
export function isDamage(error: unknown): error is FaultError | ValidationError {
  return error instanceof FaultError || error instanceof ValidationError
}

/** `<excluded page>`, `<unmapped 0x…>` … in place of a value. */
export function faultMark(error: FaultError | ValidationError): string {
  if (error instanceof ValidationError) return `<damaged 0x${hex(error.addr)}>`
  return error.reason === 'excluded' ? '<excluded page>' : `<${error.reason} 0x${hex(error.addr)}>`
}
