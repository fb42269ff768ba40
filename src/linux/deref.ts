/** Following a pointer the kernel does not test. */

import { InvariantError } from '../base/errors.ts'

/** `*p` where the kernel is sure of `p`. @throws InvariantError where it would oops */
export function deref<T>(p: T | null | undefined): T {
  if (p === null || p === undefined) throw new InvariantError('NULL pointer dereference')
  return p
}
