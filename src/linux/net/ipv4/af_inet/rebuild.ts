/** A connected sock whose route is gone finds another. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { EHOSTUNREACH } from '../../../../abi/errno.ts'
import { kfunc } from '../../../kfunc.ts'
import { __sk_dst_check, sk_setup_caps } from '../../core/sock.ts'
import { routeOf } from '../inet_connection_sock/route.ts'

/** @returns 0 or -EHOSTUNREACH @see net/ipv4/af_inet.c:inet_sk_rebuild_header */
export const inet_sk_rebuild_header = kfunc(
  'net/ipv4/af_inet.c',
  function inet_sk_rebuild_header(k, sk: sock): number {
    if (__sk_dst_check(k, sk, 0) !== null) return 0
    const route = routeOf(k, sk)
    if (typeof route === 'number') {
      sk.sk_route_caps = 0n
      sk.sk_err_soft = EHOSTUNREACH
      return -EHOSTUNREACH
    }
    sk_setup_caps(k, sk, route.dst)
    return 0
  },
)
