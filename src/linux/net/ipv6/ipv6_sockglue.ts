/** setsockopt() and getsockopt() at level SOL_IPV6. @see net/ipv6/ipv6_sockglue.c */

import type { Va } from '../../../base/addr.ts'
import type { sock } from '../../../btf/vmlinux.ts'
import { EFAULT, EINVAL, ENOPROTOOPT } from '../../../abi/errno.ts'
import {
  IPV6_DEFAULT_HOPLIMIT,
  IPV6_DONTFRAG,
  IPV6_MTU_DISCOVER,
  IPV6_PMTUDISC_OMIT,
  IPV6_RECVERR,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
} from '../../../abi/in6.ts'
import { SOL_IPV6 } from '../../../abi/socket.ts'
import { inet_sk } from '../../include/net/casts.ts'
import { pinfo } from '../../include/net/ipv6.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import type { UserPtr } from '../../lib/usercopy.ts'
import { lock_sock, release_sock } from '../core/sock/lock.ts'
import { getUserInt, putUserInts } from '../core/sock/options.ts'

const FILE = 'net/ipv6/ipv6_sockglue.c'

function setOption(k: Kernel, sk: sock, optname: number, val: number): number {
  const np = pinfo(k, sk)
  const on = val !== 0 ? 1 : 0
  switch (optname) {
    case IPV6_V6ONLY:
      // who may share the port was decided when it was bound
      if (inet_sk(k, sk).inet_num !== 0) return -EINVAL
      sk.sk_ipv6only = on
      return 0
    case IPV6_UNICAST_HOPS:
      if (val > 255 || val < -1) return -EINVAL
      np.hop_limit = val
      return 0
    case IPV6_TCLASS:
      if (val < -1 || val > 0xff) return -EINVAL
      np.tclass = val === -1 ? 0 : val
      return 0
    case IPV6_MTU_DISCOVER:
      if (val < 0 || val > IPV6_PMTUDISC_OMIT) return -EINVAL
      np.pmtudisc = val
      return 0
    case IPV6_RECVERR:
      np.recverr = on
      return 0
    case IPV6_DONTFRAG:
      np.dontfrag = on
      return 0
    default:
      return -ENOPROTOOPT
  }
}

/** @returns 0, -EFAULT, -EINVAL, -ENOPROTOOPT */
export const do_ipv6_setsockopt = kfunc(
  FILE,
  function do_ipv6_setsockopt(k: Kernel, sk: sock, optname: number, optval: Va, optlen: number): number {
    if (optlen < 4) return -EINVAL
    const val = getUserInt(k, optval)
    if (val === undefined) return -EFAULT
    lock_sock(k, sk)
    const ret = setOption(k, sk, optname, val)
    release_sock(k, sk)
    return ret
  },
)

/**
 * @param optval address in user memory
 * @see net/ipv6/ipv6_sockglue.c:ipv6_setsockopt
 * @remarks options of IPv4 on an IPv6 socket are refused
 */
export const ipv6_setsockopt = kfunc(
  FILE,
  function ipv6_setsockopt(
    k: Kernel,
    sk: sock,
    level: number,
    optname: number,
    optval: UserPtr,
    optlen: number,
  ): number {
    return level === SOL_IPV6 ? do_ipv6_setsockopt(k, sk, optname, Number(optval), optlen) : -ENOPROTOOPT
  },
)

function option(k: Kernel, sk: sock, optname: number): number | undefined {
  const np = pinfo(k, sk)
  switch (optname) {
    case IPV6_V6ONLY:
      return sk.sk_ipv6only
    case IPV6_UNICAST_HOPS:
      return np.hop_limit < 0 ? IPV6_DEFAULT_HOPLIMIT : np.hop_limit
    case IPV6_TCLASS:
      return np.tclass
    case IPV6_MTU_DISCOVER:
      return np.pmtudisc
    case IPV6_RECVERR:
      return np.recverr
    case IPV6_DONTFRAG:
      return np.dontfrag
    default:
      return undefined
  }
}

/** @param optlen address of the length in user memory */
export const ipv6_getsockopt = kfunc(
  FILE,
  function ipv6_getsockopt(
    k: Kernel,
    sk: sock,
    level: number,
    optname: number,
    optval: UserPtr,
    optlen: UserPtr,
  ): number {
    const room = getUserInt(k, Number(optlen))
    if (room === undefined) return -EFAULT
    const value = level === SOL_IPV6 ? option(k, sk, optname) : undefined
    if (value === undefined) return -ENOPROTOOPT
    if (room < 4) return -EINVAL
    return putUserInts(k, Number(optval), value) || putUserInts(k, Number(optlen), 4)
  },
)
