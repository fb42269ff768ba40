/** A simulated machine as the inspector's readers see a kernel: bytes, types and symbols, nothing else. */

import type { Kernel as Reader } from '../../src/helpers/kernel.ts'
import type { Kernel } from '../../src/linux/kernel.ts'

export function readerOf(k: Kernel): Reader {
  return { mem: k.mem, types: k.types, sym: (name) => k.sym(name) }
}
