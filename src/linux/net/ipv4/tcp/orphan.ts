/** Socks without a process: counted for each processor. @see include/net/tcp.h:tcp_orphan_count */

import type { Kernel } from '../../../kernel.ts'

function add(k: Kernel, n: number): void {
  const at = k.per_cpu_va('tcp_orphan_count')
  k.mem.setU32(at, (k.mem.u32(at) + n) >>> 0)
}

export const tcp_orphan_count_inc = (k: Kernel): void => add(k, 1)
export const tcp_orphan_count_dec = (k: Kernel): void => add(k, -1)
