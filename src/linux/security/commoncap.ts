/** Capabilities: root's powers, bit by bit. @see security/commoncap.c */

import type { cred } from '../../btf/vmlinux.ts'
import { EPERM } from '../../abi/errno.ts'
import { kfunc } from '../kfunc.ts'

/**
 * @param cap number of a capability, e.g. `CAP_NET_BIND_SERVICE`
 * @returns 0 when `cred` has it, else -EPERM
 * @see security/commoncap.c:cap_capable
 * @remarks there is one user namespace.
 */
export const cap_capable = kfunc(
  'security/commoncap.c',
  function cap_capable(k, cred: cred, ns: unknown, cap: number): number {
    const word = k.mem.u32(cred.cap_effective.$va + (cap >>> 5) * 4)
    return ((word >>> (cap & 31)) & 1) === 1 ? 0 : -EPERM
  },
)
