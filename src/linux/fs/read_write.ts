/**
 * Reading, writing and seeking: a descriptor's file, its operations, and an iterator over the caller's buffer on
 * the stack in between.
 *
 * @see fs/read_write.c
 */

import type { Va } from '../../base/addr.ts'
import type { file, iov_iter, kiocb, pt_regs } from '../../btf/vmlinux.ts'
import { EBADF, EFAULT, EINVAL, EOVERFLOW, ESPIPE } from '../../abi/errno.ts'
import {
  FMODE_ATOMIC_POS,
  FMODE_CAN_READ,
  FMODE_CAN_WRITE,
  FMODE_LSEEK,
  FMODE_READ,
  FMODE_STREAM,
  FMODE_WRITE,
  O_APPEND,
  O_DIRECT,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../abi/fcntl.ts'
import { ITER_DEST, ITER_SOURCE, MAX_RW_COUNT, MAY_READ, MAY_WRITE } from '../../abi/uio.ts'
import { syscall_arg, syscall_int, syscall_long } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { import_iovec, iov_iter_count, iov_iter_ubuf, type ImportedVector } from '../lib/iov_iter.ts'
import { access_ok } from '../lib/usercopy.ts'
import { kfree } from '../mm/slab.ts'
import { security_file_permission } from '../security/security/file.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'
import { fdget, fdput, type Fd } from './file.ts'
import { localWords } from './stack.ts'

const FILE = 'fs/read_write.c'

/** `file_operations.read_iter`, `.write_iter`: bytes moved or -errno. */
export type ReadIter = (k: Kernel, iocb: kiocb, iter: iov_iter) => MaySleep<number>
/**
 * `file_operations.read`, `.write`.
 * @param buf user address
 * @param ppos where the position is in memory; 0 for a stream
 */
export type Read = (k: Kernel, file: file, buf: bigint, count: number, ppos: Va) => MaySleep<number>
/** `file_operations.llseek` */
export type Llseek = (k: Kernel, file: file, offset: bigint, whence: number) => MaySleep<bigint | number>

/** `kiocb.ki_flags` @see include/linux/fs.h */
const IOCB_APPEND = 0x2
const IOCB_DIRECT = 1 << 17
const READ = 0
const WRITE = 1

/** What a call's stack holds: a kiocb and an iterator. */
const SYNC_BYTES = 48 + 40

/** May this file be read or written here? @returns 0 or -errno @see fs/read_write.c:rw_verify_area */
export const rw_verify_area = kfunc(
  FILE,
  function rw_verify_area(k, direction: number, file: file, ppos: Va, count: number): number {
    if (count < 0) return -EINVAL
    if (ppos !== 0) {
      const pos = BigInt.asIntN(64, k.mem.u64(ppos))
      if (pos < 0n) return BigInt(count) >= -pos ? -EOVERFLOW : -EINVAL
    }
    return security_file_permission(k, file, direction === READ ? MAY_READ : MAY_WRITE)
  },
)

/** @see include/linux/fs.h:init_sync_kiocb */
export function init_sync_kiocb(iocb: kiocb, file: file): void {
  let flags = 0
  if ((file.f_flags & O_APPEND) !== 0) flags |= IOCB_APPEND
  if ((file.f_flags & O_DIRECT) !== 0) flags |= IOCB_DIRECT
  iocb.ki_filp = file
  iocb.ki_complete = 0n
  iocb.private = 0n
  iocb.ki_flags = flags
  iocb.ki_ioprio = 0
}

/** One call of read_iter or write_iter with an iterator; the position goes there and back. */
function* callIter(
  k: Kernel,
  file: file,
  direction: number,
  iter: iov_iter,
  ppos: Va,
): Generator<unknown, number> {
  const iocb = k.local('kiocb')
  init_sync_kiocb(iocb, file)
  iocb.ki_pos = ppos === 0 ? 0n : k.mem.u64(ppos)
  const ops = deref(file.f_op)
  const op = direction === READ ? ops.read_iter : ops.write_iter
  const done = yield* sleepable(k.indirect<ReadIter>(op)(k, iocb, iter))
  if (ppos !== 0) k.mem.setU64(ppos, BigInt.asUintN(64, iocb.ki_pos))
  return done
}

/** @see fs/read_write.c:new_sync_read */
function* new_sync_read(
  k: Kernel,
  file: file,
  buf: bigint,
  count: number,
  ppos: Va,
): Generator<unknown, number> {
  const iter = k.local('iov_iter')
  iov_iter_ubuf(iter, ITER_DEST, buf, count)
  return yield* callIter(k, file, READ, iter, ppos)
}

/** @see fs/read_write.c:new_sync_write */
function* new_sync_write(
  k: Kernel,
  file: file,
  buf: bigint,
  count: number,
  ppos: Va,
): Generator<unknown, number> {
  const iter = k.local('iov_iter')
  iov_iter_ubuf(iter, ITER_SOURCE, buf, count)
  return yield* callIter(k, file, WRITE, iter, ppos)
}

/** What the task has read and written so far. @see include/linux/task_io_accounting_ops.h, include/linux/sched/xacct.h */
function account(k: Kernel, direction: number, done: number): void {
  const task = k.current
  if (!task.$has('ioac.rchar')) return
  const chars = direction === READ ? 'ioac.rchar' : 'ioac.wchar'
  const calls = direction === READ ? 'ioac.syscr' : 'ioac.syscw'
  if (done > 0) task.$set(chars, task.$int(chars) + BigInt(done))
  task.$set(calls, task.$int(calls) + 1n)
}

/**
 * @param buf user address
 * @param ppos address of the position; 0 for a stream
 * @returns bytes read or -errno
 * @see fs/read_write.c:vfs_read
 */
export const vfs_read = kfunc(
  FILE,
  function* vfs_read(k, file: file, buf: bigint, count: number, ppos: Va): Generator<unknown, number> {
    if ((file.f_mode & FMODE_READ) === 0) return -EBADF
    if ((file.f_mode & FMODE_CAN_READ) === 0) return -EINVAL
    if (!access_ok(k, buf, count)) return -EFAULT
    const refused = rw_verify_area(k, READ, file, ppos, count)
    if (refused !== 0) return refused
    const size = Math.min(count, MAX_RW_COUNT)
    const ops = deref(file.f_op)
    let done = -EINVAL
    if (ops.read !== 0n) done = yield* sleepable(k.indirect<Read>(ops.read)(k, file, buf, size, ppos))
    else if (ops.read_iter !== 0n) done = yield* new_sync_read(k, file, buf, size, ppos)
    account(k, READ, done)
    return done
  },
  { locals: SYNC_BYTES },
)

/** @returns bytes written or -errno @see fs/read_write.c:vfs_write */
export const vfs_write = kfunc(
  FILE,
  function* vfs_write(k, file: file, buf: bigint, count: number, ppos: Va): Generator<unknown, number> {
    if ((file.f_mode & FMODE_WRITE) === 0) return -EBADF
    if ((file.f_mode & FMODE_CAN_WRITE) === 0) return -EINVAL
    if (!access_ok(k, buf, count)) return -EFAULT
    const refused = rw_verify_area(k, WRITE, file, ppos, count)
    if (refused !== 0) return refused
    const size = Math.min(count, MAX_RW_COUNT)
    const ops = deref(file.f_op)
    let done = -EINVAL
    if (ops.write !== 0n) done = yield* sleepable(k.indirect<Read>(ops.write)(k, file, buf, size, ppos))
    else if (ops.write_iter !== 0n) done = yield* new_sync_write(k, file, buf, size, ppos)
    account(k, WRITE, done)
    return done
  },
  { locals: SYNC_BYTES },
)

/** The descriptor with its position locked, where others could move it. @see fs/file.c:__fdget_pos */
const __fdget_pos = kfunc('fs/file.c', function __fdget_pos(k, fd: number): Fd {
  const f = fdget(k, fd)
  if (f.file !== null && (f.file.f_mode & FMODE_ATOMIC_POS) !== 0 && f.file.f_count.$int('counter') > 1n) {
    k.mem.setPointer(f.file.$vaOf('f_pos_lock.owner'), k.current.$va)
  }
  return f
})

function fdput_pos(k: Kernel, f: Fd): void {
  if (f.file !== null && k.mem.pointer(f.file.$vaOf('f_pos_lock.owner')) !== 0) {
    k.mem.setPointer(f.file.$vaOf('f_pos_lock.owner'), 0)
  }
  fdput(k, f)
}

/** A copy of the file's position on the stack: 0 for a stream, which has none. @see fs/read_write.c:file_ppos */
function positionOf(k: Kernel, file: file): Va {
  if ((file.f_mode & FMODE_STREAM) !== 0) return 0
  const ppos = localWords(k, 8 / k.mem.wordSize)
  k.mem.copy(ppos, file.$vaOf('f_pos'), 8)
  return ppos
}

const storePosition = (k: Kernel, file: file, ppos: Va): void => {
  if (ppos !== 0) k.mem.copy(file.$vaOf('f_pos'), ppos, 8)
}

/** @see fs/read_write.c:ksys_read */
export const ksys_read = kfunc(
  FILE,
  function* ksys_read(k, fd: number, buf: bigint, count: number): Generator<unknown, number> {
    const f = __fdget_pos(k, fd)
    if (f.file === null) return -EBADF
    const ppos = positionOf(k, f.file)
    const done = yield* vfs_read(k, f.file, buf, count, ppos)
    if (done >= 0) storePosition(k, f.file, ppos)
    fdput_pos(k, f)
    return done
  },
  { locals: 8 },
)

/** @see fs/read_write.c:ksys_write */
export const ksys_write = kfunc(
  FILE,
  function* ksys_write(k, fd: number, buf: bigint, count: number): Generator<unknown, number> {
    const f = __fdget_pos(k, fd)
    if (f.file === null) return -EBADF
    const ppos = positionOf(k, f.file)
    const done = yield* vfs_write(k, f.file, buf, count, ppos)
    if (done >= 0) storePosition(k, f.file, ppos)
    fdput_pos(k, f)
    return done
  },
  { locals: 8 },
)

/** A size_t argument: more than a file could hold is cut off later anyway. */
const sizeArg = (regs: pt_regs, n: number): number => Number(BigInt.asIntN(64, syscall_arg(regs, n)))

/** read(fd, buf, count) @see fs/read_write.c */
export const __x64_sys_read = kfunc(
  FILE,
  function* __x64_sys_read(k, regs: pt_regs): Generator<unknown, number> {
    return yield* ksys_read(k, syscall_int(regs, 0), syscall_arg(regs, 1), sizeArg(regs, 2))
  },
  { sibling: true },
)

/** write(fd, buf, count) @see fs/read_write.c */
export const __x64_sys_write = kfunc(
  FILE,
  function* __x64_sys_write(k, regs: pt_regs): Generator<unknown, number> {
    return yield* ksys_write(k, syscall_int(regs, 0), syscall_arg(regs, 1), sizeArg(regs, 2))
  },
  { sibling: true },
)

const do_iter_readv_writev = kfunc(
  FILE,
  function* do_iter_readv_writev(
    k,
    file: file,
    iter: iov_iter,
    ppos: Va,
    direction: number,
  ): Generator<unknown, number> {
    return yield* callIter(k, file, direction, iter, ppos)
  },
  { locals: 48 },
)

/** @see fs/read_write.c:do_iter_read */
const do_iter_read = kfunc(FILE, function* do_iter_read(k, file: file, iter: iov_iter, ppos: Va): Generator<
  unknown,
  number
> {
  if ((file.f_mode & FMODE_READ) === 0) return -EBADF
  if ((file.f_mode & FMODE_CAN_READ) === 0) return -EINVAL
  const total = iov_iter_count(iter)
  if (total === 0) return 0
  const refused = rw_verify_area(k, READ, file, ppos, total)
  if (refused < 0) return refused
  return yield* do_iter_readv_writev(k, file, iter, ppos, READ)
})

/** @see fs/read_write.c:do_iter_write */
const do_iter_write = kfunc(FILE, function* do_iter_write(k, file: file, iter: iov_iter, ppos: Va): Generator<
  unknown,
  number
> {
  if ((file.f_mode & FMODE_WRITE) === 0) return -EBADF
  if ((file.f_mode & FMODE_CAN_WRITE) === 0) return -EINVAL
  const total = iov_iter_count(iter)
  if (total === 0) return 0
  const refused = rw_verify_area(k, WRITE, file, ppos, total)
  if (refused < 0) return refused
  return yield* do_iter_readv_writev(k, file, iter, ppos, WRITE)
})

/** The vector in the caller's frame (`locals: VECTOR_BYTES`), or in allocated memory. */
const VECTOR_BYTES = 8 * 16 + 40
function vector(
  k: Kernel,
  direction: number,
  vec: bigint,
  count: number,
): ImportedVector & { readonly iter: iov_iter } {
  const fast = k.local('iovec')
  for (let i = 1; i < 8; i++) k.local('iovec')
  const iter = k.local('iov_iter')
  return { ...import_iovec(k, direction, vec, count, fast, iter), iter }
}

const vfs_readv = kfunc(
  FILE,
  function* vfs_readv(k, file: file, vec: bigint, count: number, ppos: Va): Generator<unknown, number> {
    const { total, allocated, iter } = vector(k, ITER_DEST, vec, count)
    if (total < 0) return total
    const done = yield* do_iter_read(k, file, iter, ppos)
    kfree(k, allocated)
    return done
  },
  { locals: VECTOR_BYTES },
)

const vfs_writev = kfunc(
  FILE,
  function* vfs_writev(k, file: file, vec: bigint, count: number, ppos: Va): Generator<unknown, number> {
    const { total, allocated, iter } = vector(k, ITER_SOURCE, vec, count)
    if (total < 0) return total
    const done = yield* do_iter_write(k, file, iter, ppos)
    kfree(k, allocated)
    return done
  },
  { locals: VECTOR_BYTES },
)

const do_readv = kfunc(
  FILE,
  function* do_readv(k, fd: number, vec: bigint, count: number): Generator<unknown, number> {
    const f = __fdget_pos(k, fd)
    if (f.file === null) return -EBADF
    const ppos = positionOf(k, f.file)
    const done = yield* vfs_readv(k, f.file, vec, count, ppos)
    if (done >= 0) storePosition(k, f.file, ppos)
    fdput_pos(k, f)
    account(k, READ, done)
    return done
  },
  { locals: 8 },
)

const do_writev = kfunc(
  FILE,
  function* do_writev(k, fd: number, vec: bigint, count: number): Generator<unknown, number> {
    const f = __fdget_pos(k, fd)
    if (f.file === null) return -EBADF
    const ppos = positionOf(k, f.file)
    const done = yield* vfs_writev(k, f.file, vec, count, ppos)
    if (done >= 0) storePosition(k, f.file, ppos)
    fdput_pos(k, f)
    account(k, WRITE, done)
    return done
  },
  { locals: 8 },
)

/** readv(fd, vec, count) @see fs/read_write.c */
export const __x64_sys_readv = kfunc(FILE, function* __x64_sys_readv(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  return yield* do_readv(k, syscall_int(regs, 0), syscall_arg(regs, 1), sizeArg(regs, 2))
})

/** writev(fd, vec, count) @see fs/read_write.c */
export const __x64_sys_writev = kfunc(FILE, function* __x64_sys_writev(k, regs: pt_regs): Generator<
  unknown,
  number
> {
  return yield* do_writev(k, syscall_int(regs, 0), syscall_arg(regs, 1), sizeArg(regs, 2))
})

/** Seeking that changes nothing. @see fs/read_write.c:noop_llseek */
export const noop_llseek = kfunc(
  FILE,
  function noop_llseek(_k, file: file, _offset: bigint, _whence: number): bigint {
    return file.f_pos
  },
)

/** Seeking within the inode's size. @see fs/read_write.c:generic_file_llseek */
export const generic_file_llseek = kfunc(
  FILE,
  function generic_file_llseek(_k, file: file, offset: bigint, whence: number): bigint {
    const size = deref(file.f_inode).i_size
    if (whence !== SEEK_SET && whence !== SEEK_CUR && whence !== SEEK_END) return BigInt(-EINVAL)
    const base = whence === SEEK_SET ? 0n : whence === SEEK_CUR ? file.f_pos : size
    const to = base + offset
    if (to < 0n) return BigInt(-EINVAL)
    if (to !== file.f_pos) file.f_pos = to
    return to
  },
)

/** @see fs/read_write.c:vfs_llseek */
export const vfs_llseek = kfunc(
  FILE,
  function* vfs_llseek(k, file: file, offset: bigint, whence: number): Generator<unknown, bigint> {
    const seek = file.f_op?.llseek ?? 0n
    if ((file.f_mode & FMODE_LSEEK) === 0 || seek === 0n) return BigInt(-ESPIPE)
    return BigInt(yield* sleepable(k.indirect<Llseek>(seek)(k, file, offset, whence)))
  },
)

const ksys_lseek = kfunc(FILE, function* ksys_lseek(k, fd: number, offset: bigint, whence: number): Generator<
  unknown,
  bigint
> {
  const f = __fdget_pos(k, fd)
  if (f.file === null) return BigInt(-EBADF)
  const at = whence <= 4 ? yield* vfs_llseek(k, f.file, offset, whence) : BigInt(-EINVAL)
  fdput_pos(k, f)
  return at
})

/** lseek(fd, offset, whence) @see fs/read_write.c */
export const __x64_sys_lseek = kfunc(
  FILE,
  function* __x64_sys_lseek(k, regs: pt_regs): Generator<unknown, bigint> {
    const offset = syscall_long(regs, 1)
    return yield* ksys_lseek(k, syscall_int(regs, 0), offset, syscall_int(regs, 2))
  },
  { sibling: true },
)
