/** `struct iov_iter`: where a system call's data goes to or comes from. @see lib/iov_iter.c */

import { toAddr, toVa, type Va } from '../../base/addr.ts'
import type { iov_iter, iovec } from '../../btf/vmlinux.ts'
import { kfunc } from '../kfunc.ts'
import type { Kernel } from '../kernel.ts'
import { copy_from_user, copy_to_user, type UserPtr } from './usercopy.ts'

/** Directions, as `data_source` has them. @see include/linux/uio.h */
export const ITER_DEST = 0
export const ITER_SOURCE = 1
/** `iter_type` */
const ITER_IOVEC = 0
const ITER_KVEC = 1

/** @see lib/iov_iter.c:iov_iter_init */
export const iov_iter_init = kfunc(
  'lib/iov_iter.c',
  function iov_iter_init(
    k: Kernel,
    iter: iov_iter,
    direction: number,
    iov: iovec,
    segments: number,
    count: number,
  ): void {
    k.mem.fill(iter.$va, 0, iter.$size)
    iter.iter_type = ITER_IOVEC
    iter.user_backed = 1
    iter.data_source = direction
    iter.iov = iov
    iter.nr_segs = BigInt(segments)
    iter.$set('count', count)
  },
)

/** Kernel memory instead of the program's. @see lib/iov_iter.c:iov_iter_kvec */
export const iov_iter_kvec = kfunc(
  'lib/iov_iter.c',
  function iov_iter_kvec(
    k: Kernel,
    iter: iov_iter,
    direction: number,
    vec: iovec,
    segments: number,
    count: number,
  ): void {
    k.mem.fill(iter.$va, 0, iter.$size)
    iter.iter_type = ITER_KVEC
    iter.data_source = direction
    k.mem.setPointer(iter.$vaOf('kvec'), vec.$va)
    iter.nr_segs = BigInt(segments)
    iter.$set('count', count)
  },
)

/** One user buffer. @see lib/iov_iter.c:import_single_range */
export const import_single_range = kfunc(
  'lib/iov_iter.c',
  function import_single_range(
    k: Kernel,
    direction: number,
    buf: UserPtr,
    len: number,
    iov: iovec,
    iter: iov_iter,
  ): number {
    iov.iov_base = typeof buf === 'bigint' ? buf : toAddr(buf)
    iov.$set('iov_len', len)
    iov_iter_init(k, iter, direction, iov, 1, len)
    return 0
  },
)

/** Bytes left. */
export const iov_iter_count = (iter: iov_iter): number => Number(iter.count)

/**
 * Kernel to user (or to the kernel buffer of a kvec).
 * @param from kernel address, or bytes of the simulator's own
 * @returns bytes copied
 */
export const _copy_to_iter = kfunc(
  'lib/iov_iter.c',
  function _copy_to_iter(k: Kernel, from: Va | Uint8Array, bytes: number, iter: iov_iter): number {
    return walk(k, iter, bytes, (base, n, done) => {
      const piece = typeof from === 'number' ? from + done : from.subarray(done, done + n)
      if (iter.iter_type !== ITER_KVEC) return n - copy_to_user(k, base, piece, n)
      if (typeof piece === 'number') k.mem.copy(base, piece, n)
      else k.mem.write(base, piece)
      return n
    })
  },
)
export const copy_to_iter = (k: Kernel, from: Va | Uint8Array, bytes: number, iter: iov_iter): number =>
  _copy_to_iter(k, from, bytes, iter)

/** User to kernel. @returns bytes copied */
export const _copy_from_iter = kfunc(
  'lib/iov_iter.c',
  function _copy_from_iter(k: Kernel, to: Va, bytes: number, iter: iov_iter): number {
    return walk(k, iter, bytes, (base, n, done) => {
      if (iter.iter_type !== ITER_KVEC) return n - copy_from_user(k, to + done, base, n)
      k.mem.copy(to + done, base, n)
      return n
    })
  },
)
export const copy_from_iter = (k: Kernel, to: Va, bytes: number, iter: iov_iter): number =>
  _copy_from_iter(k, to, bytes, iter)

/** Step through the segments. @param piece moves `n` bytes at `base`; answers how many it could */
function walk(
  k: Kernel,
  iter: iov_iter,
  bytes: number,
  piece: (base: Va, n: number, done: number) => number,
): number {
  const want = Math.min(bytes, iov_iter_count(iter))
  let done = 0
  while (done < want) {
    const iov = k.ref('iovec', k.mem.pointer(iter.$vaOf('iov')))
    const offset = Number(iter.iov_offset)
    const room = Number(iov.iov_len) - offset
    const n = Math.min(room, want - done)
    const moved = n === 0 ? 0 : piece(toVa(iov.iov_base, k.mem.wordSize) + offset, n, done)
    done += moved
    iter.$set('count', iov_iter_count(iter) - moved)
    iter.$set('iov_offset', offset + moved)
    if (moved < n) break
    if (offset + moved === Number(iov.iov_len)) {
      k.mem.setPointer(iter.$vaOf('iov'), iov.$va + iov.$size)
      iter.nr_segs = iter.nr_segs - 1n
      iter.$set('iov_offset', 0)
      if (iter.nr_segs === 0n) break
    }
  }
  return done
}
