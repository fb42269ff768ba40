/** A hexadecimal word of a command line as an address. */

import { toUserVa, type Va } from '../base/addr.ts'
import { UsageError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'

/** @throws UsageError when it is no hexadecimal number of at most 16 digits */
export function addressArgument(target: Target, word: string): Va {
  if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) throw new UsageError(word, `invalid input: "${word}"`)
  return toUserVa(BigInt(`0x${word.replace(/^0x/i, '')}`), target.wordSize)
}
