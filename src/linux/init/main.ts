/** The order in which the kernel comes up: one line for each part that has boot-time state. */

import { kmem_cache_init } from '../mm/slab.ts'
import { init_boot_lists } from '../mm/mm_init.ts'
import type { Kernel } from '../kernel.ts'

/** @see init/main.c:start_kernel */
export function start_kernel(k: Kernel): void {
  init_boot_lists(k)
  kmem_cache_init(k)
}
