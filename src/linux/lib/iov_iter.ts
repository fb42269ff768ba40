/**
 * Iterators over buffers: a user buffer, an array of them, or of kernel ones; copies move along them.
 *
 * @see lib/iov_iter.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { iovec, iov_iter, page } from '../../btf/vmlinux.ts'
import { EFAULT, EINVAL } from '../../abi/errno.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { ITER_IOVEC, ITER_KVEC, ITER_UBUF, MAX_RW_COUNT, UIO_FASTIOV, UIO_MAXIOV } from '../../abi/uio.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { page_address, page_to_pfn } from '../mm/page_alloc.ts'
import { kfree, kmalloc } from '../mm/slab.ts'
import { access_ok, copy_from_user, copy_to_user, type UserPtr } from './usercopy.ts'

const FILE = 'lib/iov_iter.c'

/** Bytes left. @see include/linux/uio.h:iov_iter_count */
export const iov_iter_count = (i: iov_iter): number => Number(i.$int('count'))

const offsetOf = (i: iov_iter): number => Number(i.$int('iov_offset'))

/** No further than `count` bytes. @see include/linux/uio.h:iov_iter_truncate */
export function iov_iter_truncate(i: iov_iter, count: number): void {
  if (iov_iter_count(i) > count) i.$set('count', BigInt(count))
}

function begin(i: iov_iter, type: number, direction: number, count: number): void {
  i.iter_type = type
  i.nofault = 0
  i.data_source = direction
  i.user_backed = type === ITER_KVEC ? 0 : 1
  i.$set('iov_offset', 0n)
  i.$set('count', BigInt(count))
}

/** Over one user buffer. @see include/linux/uio.h:iov_iter_ubuf */
export function iov_iter_ubuf(i: iov_iter, direction: number, buf: bigint, count: number): void {
  begin(i, ITER_UBUF, direction, count)
  i.ubuf = buf
  i.nr_segs = 1n
}

/**
 * Over user buffers.
 * @param iov `struct iovec *`, in kernel memory
 * @see lib/iov_iter.c:iov_iter_init
 */
export const iov_iter_init = kfunc(
  FILE,
  function iov_iter_init(_k, i: iov_iter, direction: number, iov: iovec, nrSegs: number, count: number) {
    begin(i, ITER_IOVEC, direction, count)
    i.iov = iov
    i.nr_segs = BigInt(nrSegs)
  },
)

/** Over kernel buffers: an array of `struct kvec`. @see lib/iov_iter.c:iov_iter_kvec */
export const iov_iter_kvec = kfunc(
  FILE,
  function iov_iter_kvec(k, i: iov_iter, direction: number, kvec: Va, nrSegs: number, count: number) {
    begin(i, ITER_KVEC, direction, count)
    k.mem.setPointer(i.$vaOf('kvec'), kvec)
    i.nr_segs = BigInt(nrSegs)
  },
)

/** Copies `size` bytes at `offset` of the whole; gives back how many it could not. */
type Step = (at: UserPtr, offset: number, size: number) => number

/** Go along the buffers for at most `bytes`. @returns bytes copied */
function iterate(k: Kernel, i: iov_iter, bytes: number, step: Step): number {
  const wanted = Math.min(bytes, iov_iter_count(i))
  if (wanted === 0) return 0
  if (i.iter_type === ITER_UBUF) {
    const done = wanted - step(i.ubuf + BigInt(offsetOf(i)), 0, wanted)
    moveBy(i, done)
    return done
  }
  let done = 0
  while (done < wanted) {
    const { base, left } = segment(k, i)
    if (left === 0) {
      nextSegment(k, i)
      continue
    }
    const size = Math.min(left, wanted - done)
    const copied = size - step(base, done, size)
    done += copied
    moveBy(i, copied)
    if (copied < size) break
    if (copied === left && iov_iter_count(i) > 0) nextSegment(k, i)
  }
  return done
}

function moveBy(i: iov_iter, bytes: number): void {
  i.$set('iov_offset', BigInt(offsetOf(i) + bytes))
  i.$set('count', BigInt(iov_iter_count(i) - bytes))
}

/** Where the iterator is in its current vector: `struct iovec` and `struct kvec` are laid out alike. */
function segment(k: Kernel, i: iov_iter): { base: bigint; left: number } {
  const at = k.mem.pointer(i.$vaOf('iov'))
  const offset = offsetOf(i)
  return {
    base: k.mem.word(at) + BigInt(offset),
    left: Number(k.mem.word(at + k.mem.wordSize)) - offset,
  }
}

function nextSegment(k: Kernel, i: iov_iter): void {
  k.mem.setPointer(i.$vaOf('iov'), k.mem.pointer(i.$vaOf('iov')) + 2 * k.mem.wordSize)
  i.nr_segs = i.nr_segs - 1n
  i.$set('iov_offset', 0n)
}

/** Skip bytes without copying. @see lib/iov_iter.c:iov_iter_advance */
export const iov_iter_advance = kfunc(FILE, function iov_iter_advance(k, i: iov_iter, size: number) {
  iterate(k, i, size, () => 0)
})

/**
 * Go back over bytes just passed.
 * @see lib/iov_iter.c:iov_iter_revert
 */
export const iov_iter_revert = kfunc(FILE, function iov_iter_revert(k, i: iov_iter, unroll: number) {
  if (unroll === 0) return
  i.$set('count', BigInt(iov_iter_count(i) + unroll))
  let left = unroll
  while (left > offsetOf(i) && i.iter_type !== ITER_UBUF) {
    left -= offsetOf(i)
    const before = k.mem.pointer(i.$vaOf('iov')) - 2 * k.mem.wordSize
    k.mem.setPointer(i.$vaOf('iov'), before)
    i.nr_segs = i.nr_segs + 1n
    i.$set('iov_offset', k.mem.word(before + k.mem.wordSize))
  }
  i.$set('iov_offset', BigInt(offsetOf(i) - left))
})

const toKernel = (at: UserPtr): Va => (typeof at === 'bigint' ? toVa(at) : at)

/** @returns bytes copied @see lib/iov_iter.c:_copy_to_iter */
export const _copy_to_iter = kfunc(
  FILE,
  function _copy_to_iter(k, from: Va, bytes: number, i: iov_iter): number {
    const kernel = i.iter_type === ITER_KVEC
    return iterate(k, i, bytes, (at, offset, size) => {
      if (!kernel) return copy_to_user(k, at, from + offset, size)
      k.mem.copy(toKernel(at), from + offset, size)
      return 0
    })
  },
)

/** @returns bytes copied @see lib/iov_iter.c:_copy_from_iter */
export const _copy_from_iter = kfunc(
  FILE,
  function _copy_from_iter(k, to: Va, bytes: number, i: iov_iter): number {
    const kernel = i.iter_type === ITER_KVEC
    return iterate(k, i, bytes, (at, offset, size) => {
      if (!kernel) return copy_from_user(k, to + offset, at, size)
      k.mem.copy(to + offset, toKernel(at), size)
      return 0
    })
  },
)

/** @see include/linux/uio.h:copy_to_iter */
export const copy_to_iter = _copy_to_iter
/** @see include/linux/uio.h:copy_from_iter */
export const copy_from_iter = _copy_from_iter

/** All of it or nothing. @see include/linux/uio.h:copy_from_iter_full */
export function copy_from_iter_full(k: Kernel, to: Va, bytes: number, i: iov_iter): boolean {
  const copied = _copy_from_iter(k, to, bytes, i)
  if (copied === bytes) return true
  iov_iter_revert(k, i, copied)
  return false
}

const pageVa = (k: Kernel, page: page): Va => page_address(k, page_to_pfn(k, page))

/** @returns bytes copied @see lib/iov_iter.c:copy_page_to_iter */
export const copy_page_to_iter = kfunc(
  FILE,
  function copy_page_to_iter(k, page: page, offset: number, bytes: number, i: iov_iter): number {
    return _copy_to_iter(k, pageVa(k, page) + offset, Math.min(bytes, PAGE_SIZE - offset), i)
  },
)

/** @returns bytes copied @see lib/iov_iter.c:copy_page_from_iter */
export const copy_page_from_iter = kfunc(
  FILE,
  function copy_page_from_iter(k, page: page, offset: number, bytes: number, i: iov_iter): number {
    return _copy_from_iter(k, pageVa(k, page) + offset, Math.min(bytes, PAGE_SIZE - offset), i)
  },
)

/**
 * One user buffer as an array of one.
 * @param iov `struct iovec *` to fill, on the caller's stack
 * @returns 0 or -EFAULT
 * @see lib/iov_iter.c:import_single_range
 */
export const import_single_range = kfunc(
  FILE,
  function import_single_range(
    k,
    direction: number,
    buf: bigint,
    length: number,
    iov: iovec,
    i: iov_iter,
  ): number {
    const count = Math.min(length, MAX_RW_COUNT)
    if (!access_ok(k, buf, count)) return -EFAULT
    iov.iov_base = buf
    k.mem.setWord(iov.$vaOf('iov_len'), BigInt(count))
    iov_iter_init(k, i, direction, iov, 1, count)
    return 0
  },
)

/** What an imported vector occupies. */
export interface ImportedVector {
  /** Bytes in all, or -EFAULT, -EINVAL. */
  readonly total: number
  /** To be kfree'd when done: 0 while it lies on the stack. */
  readonly allocated: Va
}

/**
 * A vector of user buffers, copied into `fast` (UIO_FASTIOV elements) or allocated memory.
 * @see lib/iov_iter.c:__import_iovec
 */
export const import_iovec = kfunc(
  FILE,
  function import_iovec(
    k,
    direction: number,
    uvec: bigint,
    nrSegs: number,
    fast: iovec,
    i: iov_iter,
  ): ImportedVector {
    const size = k.types.sizeof('iovec')
    if (nrSegs < 0 || nrSegs > UIO_MAXIOV) return { total: -EINVAL, allocated: 0 }
    const allocated = nrSegs > UIO_FASTIOV ? kmalloc(k, nrSegs * size) : 0
    const at = allocated === 0 ? fast.$va : allocated
    const total = copyVector(k, at, uvec, nrSegs)
    if (total < 0) {
      kfree(k, allocated)
      return { total, allocated: 0 }
    }
    iov_iter_init(k, i, direction, k.ref('iovec', at), nrSegs, total)
    return { total, allocated }
  },
)

function copyVector(k: Kernel, at: Va, uvec: bigint, nrSegs: number): number {
  const size = k.types.sizeof('iovec')
  if (copy_from_user(k, at, uvec, nrSegs * size) > 0) return -EFAULT
  let total = 0
  for (let n = 0; n < nrSegs; n++) {
    const length = at + n * size + k.mem.wordSize
    const wanted = Number(BigInt.asIntN(k.mem.wordSize * 8, k.mem.word(length)))
    if (wanted < 0) return -EINVAL
    if (!access_ok(k, k.mem.word(at + n * size), wanted)) return -EFAULT
    const taken = Math.min(wanted, MAX_RW_COUNT - total)
    if (taken !== wanted) k.mem.setWord(length, BigInt(taken))
    total += taken
  }
  return total
}
