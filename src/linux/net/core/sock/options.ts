/** setsockopt() and getsockopt() at level SOL_SOCKET, and the operations protocols share. */

import type { Va } from '../../../../base/addr.ts'
import type { sock, socket } from '../../../../btf/vmlinux.ts'
import { Sourced, SourceKind } from '../../../../memory/memory.ts'
import { EDOM, EFAULT, EINVAL, ENOPROTOOPT, ENOTSUP } from '../../../../abi/errno.ts'
import { MAX_SCHEDULE_TIMEOUT } from '../../../../abi/jiffies.ts'
import { HZ } from '../../../../abi/param.ts'
import * as SO from '../../../../abi/socket.ts'
import * as S from '../../../../abi/sock.ts'
import { TCP_LISTEN } from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { deref } from '../../../deref.ts'
import { copy_from_user, copy_to_user, type UserPtr } from '../../../lib/usercopy.ts'
import { sk_prot, sock_error, sock_flag, sock_valbool_flag } from '../../../include/net/sock.ts'
import { lock_sock, release_sock } from './lock.ts'

const FILE = 'net/core/sock.c'

/** Read an int of user memory. @returns undefined when it cannot be read */
export function getUserInt(k: Kernel, at: UserPtr): number | undefined {
  const buffer = new Uint8Array(4)
  if (copy_from_user(k, buffer, at, 4) !== 0) return undefined
  return new DataView(buffer.buffer).getInt32(0, true)
}

/** @returns 0 or -EFAULT */
export function putUserInts(k: Kernel, at: UserPtr, ...values: number[]): number {
  const bytes = new Uint8Array(new Int32Array(values).buffer)
  return copy_to_user(k, at, bytes, bytes.length) === 0 ? 0 : -EFAULT
}

/** A send or receive timeout: a `struct timeval` of two longs, to jiffies. @see net/core/sock.c:sock_set_timeout */
function timeoutOf(k: Kernel, optval: Va, optlen: number): bigint | number {
  if (optlen < 2 * k.mem.wordSize) return -EINVAL
  const buffer = new Uint8Array(2 * k.mem.wordSize)
  if (copy_from_user(k, buffer, optval, buffer.length) !== 0) return -EFAULT
  const view = new DataView(buffer.buffer)
  const read = (at: number): bigint =>
    k.mem.wordSize === 8 ? view.getBigInt64(at, true) : BigInt(view.getInt32(at, true))
  const sec = read(0)
  const usec = read(k.mem.wordSize)
  if (usec < 0n || usec >= 1_000_000n) return -EDOM
  if (sec < 0n) return 0n
  if (sec === 0n && usec === 0n) return MAX_SCHEDULE_TIMEOUT(k.mem.wordSize)
  const tick = 1_000_000n / BigInt(HZ)
  return sec * BigInt(HZ) + (usec + tick - 1n) / tick
}

/** SO_SNDBUF and SO_RCVBUF are doubled for the overhead of packets. */
function setBuffer(sk: sock, optname: number, val: number): void {
  const doubled = 2 * Math.min(val >>> 0, S.SK_MEM_DEFAULT)
  if (optname === SO.SO_SNDBUF) {
    sk.sk_userlocks = sk.sk_userlocks | S.SOCK_SNDBUF_LOCK
    sk.sk_sndbuf = Math.max(doubled, S.SOCK_MIN_SNDBUF)
  } else {
    sk.sk_userlocks = sk.sk_userlocks | S.SOCK_RCVBUF_LOCK
    sk.sk_rcvbuf = Math.max(doubled, S.SOCK_MIN_RCVBUF)
  }
}

function setOption(k: Kernel, sk: sock, optname: number, optval: Va, optlen: number, val: number): number {
  const on = val !== 0
  switch (optname) {
    case SO.SO_REUSEADDR:
      sk.sk_reuse = on ? S.SK_CAN_REUSE : S.SK_NO_REUSE
      return 0
    case SO.SO_REUSEPORT:
      sk.sk_reuseport = on ? 1 : 0
      return 0
    case SO.SO_SNDBUF:
    case SO.SO_RCVBUF:
      setBuffer(sk, optname, val)
      return 0
    case SO.SO_KEEPALIVE: {
      const { keepalive } = sk_prot(sk)
      if (keepalive !== 0n)
        k.indirect<(k: Kernel, sk: sock, val: number) => void>(keepalive)(k, sk, on ? 1 : 0)
      sock_valbool_flag(k, sk, S.SOCK_KEEPOPEN, on)
      return 0
    }
    case SO.SO_BROADCAST:
      sock_valbool_flag(k, sk, S.SOCK_BROADCAST, on)
      return 0
    case SO.SO_PRIORITY:
      if (val < 0 || val > 6) return -EINVAL
      sk.sk_priority = val
      return 0
    case SO.SO_MARK:
      sk.sk_mark = val
      return 0
    case SO.SO_RCVLOWAT:
      sk.sk_rcvlowat = val < 0 ? 0x7fff_ffff : val || 1
      return 0
    case SO.SO_LINGER: {
      const linger = getUserInt(k, optval + 4)
      if (optlen < 8) return -EINVAL
      if (linger === undefined) return -EFAULT
      sock_valbool_flag(k, sk, S.SOCK_LINGER, on)
      if (on) sk.sk_lingertime = BigInt(linger * HZ)
      return 0
    }
    case SO.SO_RCVTIMEO:
    case SO.SO_SNDTIMEO: {
      const timeout = timeoutOf(k, optval, optlen)
      if (typeof timeout === 'number') return timeout
      if (optname === SO.SO_RCVTIMEO) sk.sk_rcvtimeo = timeout
      else sk.sk_sndtimeo = timeout
      return 0
    }
    case SO.SO_DEBUG:
    case SO.SO_DONTROUTE:
      return 0
    default:
      return -ENOPROTOOPT
  }
}

/**
 * @param optval address in user memory
 * @returns 0, -EFAULT, -EINVAL, -EDOM or -ENOPROTOOPT
 * @see net/core/sock.c:sk_setsockopt
 */
export const sk_setsockopt = kfunc(
  FILE,
  function sk_setsockopt(k, sk: sock, _level: number, optname: number, optval: Va, optlen: number): number {
    if (optlen < 4) return -EINVAL
    const val = getUserInt(k, optval)
    if (val === undefined) return -EFAULT
    lock_sock(k, sk)
    const ret = setOption(k, sk, optname, optval, optlen, val)
    release_sock(k, sk)
    return ret
  },
)

export const sock_setsockopt = kfunc(
  FILE,
  function sock_setsockopt(
    k,
    sock: socket,
    level: number,
    optname: number,
    optval: Va,
    optlen: number,
  ): number {
    return sk_setsockopt(k, deref(sock.sk), level, optname, optval, optlen)
  },
)

function option(sk: sock, optname: number): number[] | undefined {
  const flag = (f: number): number[] => [sock_flag(sk, f) ? 1 : 0]
  switch (optname) {
    case SO.SO_REUSEADDR:
      return [sk.sk_reuse]
    case SO.SO_REUSEPORT:
      return [sk.sk_reuseport]
    case SO.SO_TYPE:
      return [sk.sk_type]
    case SO.SO_PROTOCOL:
      return [sk.sk_protocol]
    case SO.SO_DOMAIN:
      return [sk.sk_family]
    case SO.SO_SNDBUF:
      return [sk.sk_sndbuf]
    case SO.SO_RCVBUF:
      return [sk.sk_rcvbuf]
    case SO.SO_KEEPALIVE:
      return flag(S.SOCK_KEEPOPEN)
    case SO.SO_BROADCAST:
      return flag(S.SOCK_BROADCAST)
    case SO.SO_PRIORITY:
      return [sk.sk_priority]
    case SO.SO_MARK:
      return [sk.sk_mark]
    case SO.SO_RCVLOWAT:
      return [sk.sk_rcvlowat]
    case SO.SO_LINGER:
      return [sock_flag(sk, S.SOCK_LINGER) ? 1 : 0, Number(sk.sk_lingertime) / HZ]
    case SO.SO_ACCEPTCONN:
      return [sk.sk_state === TCP_LISTEN ? 1 : 0]
    case SO.SO_ERROR:
      // read once and gone, the soft error if there is no hard one
      return [-sock_error(sk) || takeSoftError(sk)]
    default:
      return undefined
  }
}

function takeSoftError(sk: sock): number {
  const soft = sk.sk_err_soft
  if (soft !== 0) sk.sk_err_soft = 0
  return soft
}

/** @param optlen address of the length in user memory @see net/core/sock.c:sk_getsockopt */
export const sk_getsockopt = kfunc(
  FILE,
  function sk_getsockopt(k, sk: sock, _level: number, optname: number, optval: Va, optlen: Va): number {
    const room = getUserInt(k, optlen)
    if (room === undefined) return -EFAULT
    if (room < 0) return -EINVAL
    const values = option(sk, optname)
    if (values === undefined) return -ENOPROTOOPT
    const bytes = new Uint8Array(new Int32Array(values).buffer).subarray(0, room)
    if (copy_to_user(k, optval, bytes, bytes.length) !== 0) return -EFAULT
    return putUserInts(k, optlen, bytes.length)
  },
)

type SetSockOpt = (k: Kernel, sk: sock, level: number, name: number, val: UserPtr, len: UserPtr) => number

/** Options of the protocol's own levels. */
export const sock_common_setsockopt = kfunc(
  FILE,
  function sock_common_setsockopt(
    k,
    sock: socket,
    level: number,
    name: number,
    val: UserPtr,
    len: number,
  ): number {
    const sk = deref(sock.sk)
    return k.indirect<SetSockOpt>(sk_prot(sk).setsockopt)(k, sk, level, name, val, len)
  },
)

export const sock_common_getsockopt = kfunc(
  FILE,
  function sock_common_getsockopt(
    k,
    sock: socket,
    level: number,
    name: number,
    val: UserPtr,
    len: UserPtr,
  ): number {
    const sk = deref(sock.sk)
    return k.indirect<SetSockOpt>(sk_prot(sk).getsockopt)(k, sk, level, name, val, len)
  },
)

/** Operations a protocol does not have. */
export const sock_no_socketpair = kfunc(FILE, function sock_no_socketpair(_k): number {
  return -ENOTSUP
})
export const sock_no_accept = kfunc(FILE, function sock_no_accept(_k): number {
  return -ENOTSUP
})
export const sock_no_listen = kfunc(FILE, function sock_no_listen(_k): number {
  return -ENOTSUP
})
export const sock_no_mmap = kfunc(FILE, function sock_no_mmap(_k): number {
  return -19
})
export const sock_no_sendpage = kfunc(FILE, function sock_no_sendpage(_k): number {
  return -ENOTSUP
})

/** A value that came in a system call's argument. */
export const fromSyscall = (value: number, index: number): Sourced<number> =>
  new Sourced(value, SourceKind.Syscall, index)
