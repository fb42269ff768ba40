/** Room on a function's stack frame that is no structure: words, arrays, one structure behind another. */

import type { Va } from '../../base/addr.ts'
import type { Kernel } from '../kernel.ts'

/**
 * `count` words on the running function's frame, zeroed.
 * @returns address of the first
 */
export function localWords(k: Kernel, count: number): Va {
  const first = k.local('hlist_head').$va
  // each local takes whole 8 bytes
  for (let bytes = 8; bytes < count * k.mem.wordSize; bytes += 8) k.local('hlist_head')
  return first
}
