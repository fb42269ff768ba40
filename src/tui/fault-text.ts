/** What stands where something could not be read. */

import { CoredrillError } from '../base/errors.ts'
import { faultMark, isDamage } from '../crash/fault-mark.ts'

/** One line for an error that damaged or missing memory causes. @throws whatever it is not */
export function faultText(error: unknown): string {
  if (isDamage(error)) return faultMark(error)
  if (error instanceof CoredrillError) return `<${error.message}>`
  throw error
}
