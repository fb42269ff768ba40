/**
 * Files whose text is made record by record as it is read: an iterator over something of the kernel's, and a buffer its
 * records are printed into.
 *
 * @see fs/seq_file.c
 * @remarks an iterator's element is a word, as `void *` is; whatever an iterator keeps between two reads beyond its
 * position it finds again by that
 */

import type { Va } from '../../base/addr.ts'
import type {
  file,
  inode,
  iov_iter,
  kiocb,
  kmem_cache,
  proc_ops,
  seq_file,
  seq_operations,
} from '../../btf/vmlinux.ts'
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../../abi/errno.ts'
import { FMODE_PWRITE, SEEK_CUR, SEEK_SET } from '../../abi/fcntl.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { toVa } from '../../base/addr.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc, type KFunction } from '../kfunc.ts'
import { copy_to_iter, iov_iter_count } from '../lib/iov_iter.ts'
import { kfree, kvfree, kvzalloc, kzalloc } from '../mm/slab.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_free, kmem_cache_zalloc } from '../mm/slub.ts'

const FILE = 'fs/seq_file.c'

/** What start and next give: an element, 0 at the end. Errors are negative. */
export type Start = (k: Kernel, m: seq_file, pos: bigint) => bigint
/** It moves the position itself: `m.index`. */
export type Next = (k: Kernel, m: seq_file, v: bigint) => bigint
export type Stop = (k: Kernel, m: seq_file, v: bigint) => void
export type Show = (k: Kernel, m: seq_file, v: bigint) => number

/** Returned by a show function for an element that is left out. */
export const SEQ_SKIP = 1
export const SEQ_START_TOKEN = 1n
/** A buffer larger than this is a record that never ends. */
const BUFFER_MAX = 1 << 24

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

/** @see fs/seq_file.c:seq_file_init */
export function seq_file_init(k: Kernel): void {
  const size = k.types.sizeof('seq_file')
  state(k).cache = kmem_cache_create(k, 'seq_file', size, { flags: SLAB_ACCOUNT | SLAB_PANIC })
}

/** The four functions of an iterator, stored where the kernel has them. */
export function seqOperations(
  k: Kernel,
  ops: seq_operations,
  start: KFunction,
  next: KFunction,
  stop: KFunction,
  show: KFunction,
): void {
  ops.start = k.text(start)
  ops.next = k.text(next)
  ops.stop = k.text(stop)
  ops.show = k.text(show)
}

/** A `struct proc_ops` of the kernel: a text read through an iterator. */
export function seqProcOps(k: Kernel, name: string, open: KFunction, release: KFunction): proc_ops {
  const ops = k.global(name, 'proc_ops')
  ops.proc_open = k.text(open)
  ops.proc_read_iter = k.text(seq_read_iter)
  ops.proc_lseek = k.text(seq_lseek)
  ops.proc_release = k.text(release)
  return ops
}

/** @see fs/seq_file.c:seq_open */
export const seq_open = kfunc(FILE, function seq_open(k, file: file, op: seq_operations): number {
  const m = k.ref('seq_file', kmem_cache_zalloc(k, state(k).cache as kmem_cache))
  file.private_data = m.$addr
  INIT_LIST_HEAD(k.mem, m.$vaOf('lock.wait_list'))
  m.op = op
  m.file = file
  file.f_mode = file.f_mode & ~FMODE_PWRITE
  return 0
})

const seqOf = (k: Kernel, file: file): seq_file => k.ref('seq_file', file.private_data)

/** @see fs/seq_file.c:seq_release */
export const seq_release = kfunc(FILE, function seq_release(k, _inode: inode, file: file): number {
  const m = seqOf(k, file)
  if (m.buf !== 0n) kvfree(k, toVa(m.buf, k.mem.wordSize))
  kmem_cache_free(k, state(k).cache as kmem_cache, m.$va)
  return 0
})

/** Print into the buffer; what does not fit is for another try with a larger one. @see fs/seq_file.c:seq_printf */
export const seq_printf = kfunc(FILE, function seq_printf(k, m: seq_file, text: string): void {
  const bytes = Buffer.from(text, 'latin1')
  const [count, size] = [Number(m.$int('count')), Number(m.$int('size'))]
  if (count + bytes.length < size) {
    k.mem.write(toVa(m.buf, k.mem.wordSize) + count, bytes)
    m.$set('count', BigInt(count + bytes.length))
  } else m.$set('count', BigInt(size))
})

/** @see include/linux/seq_file.h:seq_has_overflowed */
const overflowed = (m: seq_file): boolean => m.$int('count') === m.$int('size')

const set = (m: seq_file, member: 'count' | 'from' | 'size', value: number): void =>
  m.$set(member, BigInt(value))

function newBuffer(k: Kernel, m: seq_file, size: number): void {
  if (m.buf !== 0n) kvfree(k, toVa(m.buf, k.mem.wordSize))
  k.mem.setPointer(m.$vaOf('buf'), kvzalloc(k, size))
  set(m, 'size', size)
  set(m, 'count', 0)
}

/** What is left of the last record. @returns bytes given */
function flush(k: Kernel, m: seq_file, iter: iov_iter): number {
  const from = Number(m.$int('from'))
  const count = Number(m.$int('count'))
  const n = copy_to_iter(k, toVa(m.buf, k.mem.wordSize) + from, count, iter)
  set(m, 'count', count - n)
  set(m, 'from', n === count ? 0 : from + n)
  return n
}

/** @see fs/seq_file.c:seq_read_iter */
export const seq_read_iter = kfunc(FILE, function seq_read_iter(k, iocb: kiocb, iter: iov_iter): number {
  const m = seqOf(k, deref(iocb.ki_filp))
  if (iov_iter_count(iter) === 0) return 0
  if (iocb.ki_pos === 0n) {
    m.index = 0n
    set(m, 'count', 0)
  }
  if (m.buf === 0n) newBuffer(k, m, PAGE_SIZE)
  let copied = 0
  if (m.$int('count') > 0n) {
    copied = flush(k, m, iter)
    if (m.$int('count') > 0n || iov_iter_count(iter) === 0) return finish(m, iocb, copied)
  }
  set(m, 'from', 0)
  const problem = fill(k, m, iov_iter_count(iter))
  if (problem !== 0 && copied === 0) return problem
  copied += flush(k, m, iter)
  if (copied === 0 && m.$int('count') > 0n) return -EFAULT
  return finish(m, iocb, copied)
})

function finish(m: seq_file, iocb: kiocb, copied: number): number {
  iocb.ki_pos = iocb.ki_pos + BigInt(copied)
  m.read_pos = m.read_pos + BigInt(copied)
  return copied
}

/** Print records until the reader's room is full, at least one. @returns 0 or -errno */
function fill(k: Kernel, m: seq_file, room: number): number {
  const ops = deref(m.op)
  const start = k.indirect<Start>(ops.start)
  const next = k.indirect<Next>(ops.next)
  const stop = k.indirect<Stop>(ops.stop)
  const show = k.indirect<Show>(ops.show)
  let v = start(k, m, m.index)
  for (;;) {
    if (v <= 0n) {
      stop(k, m, v)
      return Number(v)
    }
    const error = show(k, m, v)
    if (error < 0) {
      stop(k, m, v)
      return error
    }
    if (error > 0) set(m, 'count', 0)
    if (m.$int('count') === 0n) {
      v = next(k, m, v)
      continue
    }
    if (!overflowed(m)) break
    stop(k, m, v)
    const size = Number(m.$int('size')) * 2
    if (size > BUFFER_MAX) return -ENOMEM
    newBuffer(k, m, size)
    v = start(k, m, m.index)
  }
  // the first record is in; others as long as they fit whole
  for (;;) {
    const before = Number(m.$int('count'))
    v = next(k, m, v)
    if (v <= 0n || before >= room) break
    const error = show(k, m, v)
    if (error > 0) set(m, 'count', before)
    else if (error < 0 || overflowed(m)) {
      set(m, 'count', before)
      break
    }
  }
  stop(k, m, v)
  return 0
}

/** To the start, or nowhere: what a text was before it is printed again nobody knows. @see fs/seq_file.c:seq_lseek */
export const seq_lseek = kfunc(
  FILE,
  function seq_lseek(k, file: file, offset: bigint, whence: number): bigint {
    const to = whence === SEEK_CUR ? file.f_pos + offset : offset
    if (whence > SEEK_CUR || whence < SEEK_SET || to < 0n) return BigInt(-EINVAL)
    if (to !== 0n) return BigInt(-EAGAIN)
    const m = seqOf(k, file)
    m.index = 0n
    set(m, 'count', 0)
    m.read_pos = 0n
    file.f_pos = 0n
    return 0n
  },
)

const single_start = kfunc(FILE, function single_start(_k, _m: seq_file, pos: bigint): bigint {
  return pos === 0n ? SEQ_START_TOKEN : 0n
})
const single_next = kfunc(FILE, function single_next(_k, m: seq_file, _v: bigint): bigint {
  m.index = m.index + 1n
  return 0n
})
const single_stop = kfunc(FILE, function single_stop(_k, _m: seq_file, _v: bigint): void {
  // nothing is held
})

/** A text of one record. @param show address of the function that prints it @see fs/seq_file.c:single_open */
export const single_open = kfunc(
  FILE,
  function single_open(k, file: file, show: bigint, data: bigint): number {
    const op = k.ref('seq_operations', kzalloc(k, k.types.sizeof('seq_operations')))
    op.start = k.text(single_start)
    op.next = k.text(single_next)
    op.stop = k.text(single_stop)
    op.show = show
    const result = seq_open(k, file, op)
    seqOf(k, file).private = data
    return result
  },
)

/** @see fs/seq_file.c:single_release */
export const single_release = kfunc(FILE, function single_release(k, inode: inode, file: file): number {
  const { op } = seqOf(k, file)
  seq_release(k, inode, file)
  kfree(k, deref(op))
  return 0
})

/** An address as an iterator's element. */
export const seqElement = (va: Va): bigint => BigInt.asUintN(64, BigInt(va))
