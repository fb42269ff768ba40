/**
 * Descriptor tables: the bitmaps and the array of `struct file *` of a process. A descriptor is reserved first
 * and gets its file later.
 *
 * @see fs/file.c
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { fdtable, file, files_struct, kmem_cache, task_struct } from '../../btf/vmlinux.ts'
import { EBADF, EMFILE } from '../../abi/errno.ts'
import { FMODE_PATH, O_CLOEXEC } from '../../abi/fcntl.ts'
import { CLONE_FILES } from '../../abi/sched.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { init_waitqueue_head } from '../kernel/sched/wait.ts'
import { atomic_long_inc } from '../lib/atomic_long.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { kfree, kvfree, kvzalloc, kzalloc } from '../mm/slab.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../mm/slub.ts'
import { sleepable, type MaySleep } from '../sleepable.ts'
import { fput, get_file } from './file_table.ts'

/** `file_operations.flush` */
type Flush = (k: Kernel, file: file, id: files_struct) => MaySleep<number>

/** Descriptors a process may have: RLIMIT_NOFILE. */
const RLIMIT_NOFILE = 7

const state = perKernel<{ cache: kmem_cache | undefined }>(() => ({ cache: undefined }))

const longBits = (k: Kernel): number => k.mem.wordSize * 8

/** @see fs/file.c:files_defer_init, kernel/fork.c:proc_caches_init */
export function files_cache_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  state(k).cache = kmem_cache_create(k, 'files_cache', k.types.sizeof('files_struct'), { flags })
  setCachePointer(k, 'files_cachep', state(k).cache)
  const files = k.global('init_files', 'files_struct')
  setUp(k, files)
}

/** The embedded table of a fresh files_struct. */
function setUp(k: Kernel, files: files_struct): void {
  files.count.counter = 1
  files.resize_in_progress = 0
  init_waitqueue_head(k, files.resize_wait)
  files.next_fd = 0
  const fdt = files.fdtab
  fdt.max_fds = longBits(k)
  k.mem.setPointer(fdt.$vaOf('close_on_exec'), files.$vaOf('close_on_exec_init'))
  k.mem.setPointer(fdt.$vaOf('open_fds'), files.$vaOf('open_fds_init'))
  k.mem.setPointer(fdt.$vaOf('full_fds_bits'), files.$vaOf('full_fds_bits_init'))
  k.mem.setPointer(fdt.$vaOf('fd'), files.$vaOf('fd_array'))
  files.fdt = fdt
}

const at = (fdt: fdtable, member: 'fd' | 'open_fds' | 'close_on_exec' | 'full_fds_bits'): Va =>
  fdt.$mem.pointer(fdt.$vaOf(member))
const slotVa = (k: Kernel, fdt: fdtable, fd: number): Va => at(fdt, 'fd') + fd * k.mem.wordSize

function testBit(k: Kernel, bits: Va, fd: number): boolean {
  return ((k.mem.u8(bits + (fd >>> 3)) >>> (fd & 7)) & 1) === 1
}
function setBit(k: Kernel, bits: Va, fd: number, on: boolean): void {
  const byte = k.mem.u8(bits + (fd >>> 3))
  const now = on ? byte | (1 << (fd & 7)) : byte & ~(1 << (fd & 7))
  if (now !== byte) k.mem.setU8(bits + (fd >>> 3), now)
}

/** Bits of a word of the table that has no free descriptor. */
function noteFull(k: Kernel, fdt: fdtable, fd: number): void {
  const word = Math.floor(fd / longBits(k))
  const bits = k.mem.word(at(fdt, 'open_fds') + word * k.mem.wordSize)
  setBit(k, at(fdt, 'full_fds_bits'), word, bits === (1n << BigInt(longBits(k))) - 1n)
}

const filesOf = (k: Kernel): files_struct => deref(k.current.files)
const fdtOf = (files: files_struct): fdtable => deref(files.fdt)

/** A table of at least `nr` descriptors replaces the old one. @see fs/file.c:expand_fdtable */
const expand_files = kfunc('fs/file.c', function expand_files(k, files: files_struct, nr: number) {
  const old = fdtOf(files)
  if (nr < old.max_fds) return
  let size = old.max_fds
  while (size <= nr) size *= 2
  size = Math.max(size, 1024 / k.mem.wordSize)
  const fdt = k.ref('fdtable', kzalloc(k, k.types.sizeof('fdtable')))
  fdt.max_fds = size
  const array = kvzalloc(k, size * k.mem.wordSize)
  const bits = kvzalloc(k, (2 * size) / 8 + Math.ceil(size / longBits(k) / 8) + k.mem.wordSize)
  k.mem.setPointer(fdt.$vaOf('fd'), array)
  k.mem.setPointer(fdt.$vaOf('open_fds'), bits)
  k.mem.setPointer(fdt.$vaOf('close_on_exec'), bits + size / 8)
  k.mem.setPointer(fdt.$vaOf('full_fds_bits'), bits + size / 4)
  copyTable(k, fdt, old)
  files.fdt = fdt
  if (!old.$equals(files.fdtab)) freeTable(k, old)
})

function copyTable(k: Kernel, to: fdtable, from: fdtable): void {
  const count = Math.min(from.max_fds, to.max_fds)
  k.mem.copy(at(to, 'fd'), at(from, 'fd'), count * k.mem.wordSize)
  k.mem.copy(at(to, 'open_fds'), at(from, 'open_fds'), count / 8)
  k.mem.copy(at(to, 'close_on_exec'), at(from, 'close_on_exec'), count / 8)
  const words = Math.ceil(count / longBits(k) / 8)
  k.mem.copy(at(to, 'full_fds_bits'), at(from, 'full_fds_bits'), words)
}

function freeTable(k: Kernel, fdt: fdtable): void {
  kvfree(k, at(fdt, 'fd'))
  kvfree(k, at(fdt, 'open_fds'))
  kfree(k, fdt)
}

/** Reserve the lowest free descriptor from `start` on. @returns it, or -EMFILE @see fs/file.c:alloc_fd */
const alloc_fd = kfunc('fs/file.c', function alloc_fd(k, start: number, end: number, flags: number): number {
  const files = filesOf(k)
  let fd = Math.max(start, files.next_fd)
  const taken = (): boolean => fd < fdtOf(files).max_fds && testBit(k, at(fdtOf(files), 'open_fds'), fd)
  while (taken()) fd++
  if (fd >= end) return -EMFILE
  expand_files(k, files, fd)
  if (start <= files.next_fd) files.next_fd = fd + 1
  const fdt = fdtOf(files)
  setBit(k, at(fdt, 'open_fds'), fd, true)
  noteFull(k, fdt, fd)
  setBit(k, at(fdt, 'close_on_exec'), fd, (flags & O_CLOEXEC) !== 0)
  return fd
})

/** Soft limit of a resource. @see include/linux/sched/signal.h:rlimit */
export const rlimit = (task: task_struct, which: number): bigint =>
  deref(deref(task.signal).rlim.ref(which)).$int('rlim_cur')

/** Reserve a descriptor. @returns it, or -EMFILE @see fs/file.c:get_unused_fd_flags */
export const get_unused_fd_flags = kfunc('fs/file.c', function get_unused_fd_flags(k, flags: number): number {
  return alloc_fd(k, 0, Number(rlimit(k.current, RLIMIT_NOFILE)), flags)
})

/** Give a reserved descriptor back. @see fs/file.c:put_unused_fd */
export const put_unused_fd = kfunc('fs/file.c', function put_unused_fd(k, fd: number) {
  __put_unused_fd(k, filesOf(k), fd)
})

function __put_unused_fd(k: Kernel, files: files_struct, fd: number): void {
  const fdt = fdtOf(files)
  setBit(k, at(fdt, 'open_fds'), fd, false)
  setBit(k, at(fdt, 'full_fds_bits'), Math.floor(fd / longBits(k)), false)
  if (fd < files.next_fd) files.next_fd = fd
}

/** A reserved descriptor gets its file; the table takes over the caller's reference. @see fs/file.c:fd_install */
export const fd_install = kfunc('fs/file.c', function fd_install(k, fd: number, file: file) {
  k.mem.setPointer(slotVa(k, fdtOf(filesOf(k)), fd), file.$va)
})

/** The file of a descriptor, no reference taken. @see fs/file.c:files_lookup_fd_raw */
export function lookup_fd(k: Kernel, fd: number, files: files_struct = filesOf(k)): file | null {
  const fdt = fdtOf(files)
  if (fd < 0 || fd >= fdt.max_fds) return null
  const va = k.mem.pointer(slotVa(k, fdt, fd))
  return va === 0 ? null : k.ref('file', va)
}

/** With a reference; null for a bad descriptor or an O_PATH file. @see fs/file.c:fget */
export const fget = kfunc('fs/file.c', function fget(k, fd: number): file | null {
  const file = lookup_fd(k, fd)
  if (file === null || (file.f_mode & FMODE_PATH) !== 0) return null
  return get_file(file)
})

/** A borrowed file: the reference is taken only when others share the table. */
export interface Fd {
  readonly file: file | null
  readonly needPut: boolean
}

/** @see fs/file.c:__fget_light */
const __fget_light = kfunc('fs/file.c', function __fget_light(k, fd: number): Fd {
  if (filesOf(k).count.counter === 1) {
    const file = lookup_fd(k, fd)
    if (file === null || (file.f_mode & FMODE_PATH) !== 0) return { file: null, needPut: false }
    return { file, needPut: false }
  }
  const file = fget(k, fd)
  return { file, needPut: file !== null }
})

/** @see include/linux/file.h:fdget */
export const fdget = kfunc(
  'fs/file.c',
  function __fdget(k, fd: number): Fd {
    return __fget_light(k, fd)
  },
  { sibling: true },
)

/** @see include/linux/file.h:fdput */
export function fdput(k: Kernel, fd: Fd): void {
  if (fd.needPut && fd.file !== null) fput(k, fd.file)
}

/** Take a descriptor's file out of the table. @returns null when there is none */
function pick_file(k: Kernel, files: files_struct, fd: number): file | null {
  const fdt = fdtOf(files)
  const file = lookup_fd(k, fd, files)
  if (file === null) return null
  k.mem.setPointer(slotVa(k, fdt, fd), 0)
  setBit(k, at(fdt, 'close_on_exec'), fd, false)
  __put_unused_fd(k, files, fd)
  return file
}

/** @see fs/open.c:filp_close */
export const filp_close = kfunc('fs/open.c', function* filp_close(k, file: file, id: files_struct): Generator<
  unknown,
  number
> {
  const flush = file.f_op?.flush ?? 0n
  const result = flush === 0n ? 0 : yield* sleepable(k.indirect<Flush>(flush)(k, file, id))
  fput(k, file)
  return result
})

/** @returns 0, -EBADF, or what flushing the file gave @see fs/file.c:close_fd */
export const close_fd = kfunc('fs/file.c', function* close_fd(k, fd: number): Generator<unknown, number> {
  const files = filesOf(k)
  const file = pick_file(k, files, fd)
  if (file === null) return -EBADF
  return yield* filp_close(k, file, files)
})

/** @returns the new descriptor @see fs/file.c:do_dup2 */
export const do_dup2 = kfunc(
  'fs/file.c',
  function* do_dup2(k, file: file, fd: number, flags: number): Generator<unknown, number> {
    const files = filesOf(k)
    expand_files(k, files, fd)
    const replaced = lookup_fd(k, fd, files)
    const fdt = fdtOf(files)
    get_file(file)
    k.mem.setPointer(slotVa(k, fdt, fd), file.$va)
    setBit(k, at(fdt, 'open_fds'), fd, true)
    noteFull(k, fdt, fd)
    setBit(k, at(fdt, 'close_on_exec'), fd, (flags & O_CLOEXEC) !== 0)
    if (replaced !== null) yield* filp_close(k, replaced, files)
    return fd
  },
)

/** The lowest free descriptor from `from` on for a file. @see fs/file.c:f_dupfd */
export const f_dupfd = kfunc(
  'fs/file.c',
  function f_dupfd(k, from: number, file: file, flags: number): number {
    const fd = alloc_fd(k, from, Number(rlimit(k.current, RLIMIT_NOFILE)), flags)
    if (fd >= 0) fd_install(k, fd, get_file(file))
    return fd
  },
)

export const get_close_on_exec = (k: Kernel, fd: number): boolean =>
  testBit(k, at(fdtOf(filesOf(k)), 'close_on_exec'), fd)

/** @see fs/file.c:set_close_on_exec */
export const set_close_on_exec = kfunc('fs/file.c', function set_close_on_exec(k, fd: number, on: boolean) {
  setBit(k, at(fdtOf(filesOf(k)), 'close_on_exec'), fd, on)
})

/** A copy of a table: every file gets another reference. @see fs/file.c:dup_fd */
export const dup_fd = kfunc('fs/file.c', function dup_fd(k, old: files_struct): files_struct {
  const files = k.ref('files_struct', kmem_cache_alloc(k, state(k).cache as kmem_cache))
  setUp(k, files)
  const from = fdtOf(old)
  const used = highest(k, from) + 1
  if (used > files.fdtab.max_fds) expand_files(k, files, used - 1)
  const to = fdtOf(files)
  copyTable(k, to, from)
  for (let fd = 0; fd < Math.min(from.max_fds, to.max_fds); fd++) {
    const file = k.mem.pointer(slotVa(k, to, fd))
    if (file !== 0) atomic_long_inc(k.ref('file', file).f_count)
    else setBit(k, at(to, 'open_fds'), fd, false)
  }
  files.next_fd = old.next_fd
  return files
})

function highest(k: Kernel, fdt: fdtable): number {
  for (let fd = fdt.max_fds - 1; fd >= 0; fd--) if (testBit(k, at(fdt, 'open_fds'), fd)) return fd
  return -1
}

/** @see kernel/fork.c:copy_files */
export function copy_files(k: Kernel, flags: number, p: task_struct): void {
  const old = p.files
  if (old === null) return
  if ((flags & CLONE_FILES) !== 0) {
    old.count.counter = old.count.counter + 1
    return
  }
  p.files = dup_fd(k, old)
}

/** Close every descriptor in order. */
function* close_files(k: Kernel, files: files_struct): Generator<unknown, void> {
  const fdt = fdtOf(files)
  for (let fd = 0; fd < fdt.max_fds; fd++) {
    const va = k.mem.pointer(slotVa(k, fdt, fd))
    if (va === 0) continue
    k.mem.setPointer(slotVa(k, fdt, fd), 0)
    yield* filp_close(k, k.ref('file', va), files)
  }
}

/** @see fs/file.c:put_files_struct */
export const put_files_struct = kfunc(
  'fs/file.c',
  function* put_files_struct(k, files: files_struct): Generator<unknown, void> {
    files.count.counter = files.count.counter - 1
    if (files.count.counter > 0) return
    yield* close_files(k, files)
    const fdt = fdtOf(files)
    if (!fdt.$equals(files.fdtab)) freeTable(k, fdt)
    kmem_cache_free(k, state(k).cache as kmem_cache, files.$va)
  },
)

/** @see fs/file.c:exit_files */
export const exit_files = kfunc('fs/file.c', function* exit_files(k, task: task_struct): Generator<
  unknown,
  void
> {
  const { files } = task
  if (files === null) return
  task.files = null
  yield* put_files_struct(k, files)
})

/** Close what is marked close-on-exec. @see fs/file.c:do_close_on_exec */
export const do_close_on_exec = kfunc(
  'fs/file.c',
  function* do_close_on_exec(k, files: files_struct): Generator<unknown, void> {
    for (let fd = 0; fd < fdtOf(files).max_fds; fd++) {
      if (!testBit(k, at(fdtOf(files), 'close_on_exec'), fd)) continue
      const file = pick_file(k, files, fd)
      if (file !== null) yield* filp_close(k, file, files)
    }
  },
)

/** Descriptors that are in use, for tests and messages. */
export function openFds(k: Kernel, task: task_struct): number[] {
  const { files } = task
  if (files === null) return []
  const fdt = fdtOf(files)
  const bits = toVa(fdt.open_fds, k.mem.wordSize)
  return Array.from({ length: fdt.max_fds }, (_, fd) => fd).filter((fd) => testBit(k, bits, fd))
}
