/**
 * Crash reads structures whole where we read the members we print, so a structure across two pages needs both.
 */

import { CoredrillError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'

const PAGE = 4096
/** A larger structure is read by members in crash too. */
const WHOLE_MAX = 16 * PAGE

/** From now on, a reference to a structure of this target reads all the pages it lies in. */
export function wholeObjects(target: Target): void {
  const { types } = target
  const refTo = types.refTo.bind(types)
  types.refTo = (type, mem, va, raw) => {
    const last = va + type.size - 1
    if (type.size > 0 && type.size <= WHOLE_MAX && Math.floor(va / PAGE) !== Math.floor(last / PAGE))
      for (let at = va; at <= last; at = Math.floor(at / PAGE) * PAGE + PAGE) read(() => mem.u8(at))
    return refTo(type, mem, va, raw)
  }
}

function read(byte: () => number): void {
  try {
    byte()
  } catch (error) {
    if (!(error instanceof CoredrillError)) throw error
  }
}
