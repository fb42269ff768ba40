/** Capabilities of the running task. @see kernel/capability.c */

import { kfunc } from '../kfunc.ts'
import type { Kernel } from '../kernel.ts'

/** include/uapi/linux/capability.h */
export const CAP_NET_BIND_SERVICE = 10
export const CAP_NET_ADMIN = 12
export const CAP_NET_RAW = 13
export const CAP_SYS_MODULE = 16
export const CAP_SYS_ADMIN = 21

/** @see kernel/capability.c:capable */
export const capable = kfunc('kernel/capability.c', function capable(k: Kernel, cap: number): boolean {
  const cred = k.current.cred
  if (cred === null) return false
  return ((k.mem.u64(cred.$vaOf('cap_effective')) >> BigInt(cap)) & 1n) === 1n
})
