/**
 * Pipes: a ring of page buffers between readers and writers, on an inode of pipefs. Here is how they are made,
 * asked and released; `pipe/io.ts` moves the bytes.
 *
 * @see fs/pipe.c
 * @remarks named pipes are not simulated; rings keep the size they are made with
 */

import type {
  dentry,
  file,
  inode,
  pipe_inode_info,
  poll_table_struct,
  pt_regs,
  super_operations,
  user_struct,
  vfsmount,
} from '../../btf/vmlinux.ts'
import { EFAULT, EINVAL } from '../../abi/errno.ts'
import {
  FMODE_READ,
  FMODE_WRITE,
  O_CLOEXEC,
  O_DIRECT,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from '../../abi/fcntl.ts'
import { PIPE_DEF_BUFFERS, PIPEFS_MAGIC } from '../../abi/pipe_fs_i.ts'
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM } from '../../abi/poll.ts'
import { S_IFIFO } from '../../abi/stat.ts'
import { toVa } from '../../base/addr.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { syscall_arg, syscall_int } from '../arch/x86/entry/common.ts'
import { deref } from '../deref.ts'
import { poll_wait } from '../include/linux/poll.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { __wake_up, init_waitqueue_head } from '../kernel/sched/wait.ts'
import { atomic_long_add } from '../lib/atomic_long.ts'
import { copy_to_user } from '../lib/usercopy.ts'
import { kfree, kzalloc } from '../mm/slab.ts'
import { fd_install, get_unused_fd_flags, put_unused_fd } from './file.ts'
import { alloc_file_clone, alloc_file_pseudo, fput, stream_open } from './file_table.ts'
import { get_next_ino, new_inode_pseudo } from './inode.ts'
import { init_pseudo, stamp } from './libfs.ts'
import { kern_mount } from './namespace.ts'
import { pipe_read, pipe_write, pipeOf } from './pipe/io.ts'
import {
  __pipe_lock,
  __pipe_unlock,
  anon_pipe_buf_release,
  pipe_buf_release,
  pipe_empty,
  pipe_full,
  pipeBuffer,
  put_page,
} from './pipe/ring.ts'
import { localWords } from './stack.ts'
import { register_filesystem } from './super.ts'

const FILE = 'fs/pipe.c'

/** I_DIRTY: the inode is written nowhere, so it is marked as if it had been already. */
const I_DIRTY = 0x7n

const mounts = perKernel<{ pipe_mnt: vfsmount | undefined }>(() => ({ pipe_mnt: undefined }))

/** Charge a user for buffers. @see fs/pipe.c:account_pipe_buffers */
const account_pipe_buffers = kfunc(
  FILE,
  function account_pipe_buffers(_k, user: user_struct, old: number, now: number): bigint {
    return atomic_long_add(now - old, user.pipe_bufs)
  },
)

/** An empty ring. @see fs/pipe.c:alloc_pipe_info */
export const alloc_pipe_info = kfunc(FILE, function alloc_pipe_info(k): pipe_inode_info {
  const pipe = k.ref('pipe_inode_info', kzalloc(k, k.types.sizeof('pipe_inode_info')))
  const user = deref(deref(k.current.cred).user)
  user.__count.refs.counter = user.__count.refs.counter + 1
  account_pipe_buffers(k, user, 0, PIPE_DEF_BUFFERS)
  const bufs = kzalloc(k, PIPE_DEF_BUFFERS * k.types.sizeof('pipe_buffer'))
  k.mem.setPointer(pipe.$vaOf('bufs'), bufs)
  init_waitqueue_head(k, pipe.rd_wait)
  init_waitqueue_head(k, pipe.wr_wait)
  pipe.r_counter = 1
  pipe.w_counter = 1
  pipe.max_usage = PIPE_DEF_BUFFERS
  pipe.ring_size = PIPE_DEF_BUFFERS
  pipe.nr_accounted = PIPE_DEF_BUFFERS
  pipe.user = user
  INIT_LIST_HEAD(k.mem, pipe.$vaOf('mutex.wait_list'))
  return pipe
})

/** Nobody has it open any more. @see fs/pipe.c:free_pipe_info */
export const free_pipe_info = kfunc(FILE, function free_pipe_info(k, pipe: pipe_inode_info) {
  const user = deref(pipe.user)
  account_pipe_buffers(k, user, pipe.nr_accounted, 0)
  user.__count.refs.counter = user.__count.refs.counter - 1
  for (let i = 0; i < pipe.ring_size; i++) {
    const buf = pipeBuffer(pipe, i)
    if (buf.ops !== null) pipe_buf_release(k, pipe, buf)
  }
  if (pipe.tmp_page !== null) put_page(k, pipe.tmp_page)
  kfree(k, pipe.bufs)
  kfree(k, pipe)
})

/** @see fs/pipe.c:get_pipe_inode */
function get_pipe_inode(k: Kernel, mnt: vfsmount): inode {
  const inode = new_inode_pseudo(k, deref(mnt.mnt_sb))
  inode.i_ino = BigInt(get_next_ino(k))
  const pipe = alloc_pipe_info(k)
  inode.i_pipe = pipe
  pipe.files = 2
  pipe.readers = 1
  pipe.writers = 1
  k.mem.setPointer(inode.$vaOf('i_fop'), toVa(k.sym('pipefifo_fops'), k.mem.wordSize))
  inode.i_state = I_DIRTY
  inode.i_mode = S_IFIFO | 0o600
  const cred = deref(k.current.cred)
  inode.i_uid.val = cred.fsuid.val
  inode.i_gid.val = cred.fsgid.val
  stamp(k, inode)
  return inode
}

/** Both ends of a new pipe: `[to read from, to write to]`. @see fs/pipe.c:create_pipe_files */
export const create_pipe_files = kfunc(FILE, function create_pipe_files(k, flags: number): [file, file] {
  const mnt = deref(mounts(k).pipe_mnt)
  const inode = get_pipe_inode(k, mnt)
  const fops = k.global('pipefifo_fops', 'file_operations')
  const writer = alloc_file_pseudo(k, inode, mnt, '', O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), fops)
  k.mem.setPointer(writer.$vaOf('private_data'), deref(inode.i_pipe).$va)
  const reader = alloc_file_clone(k, writer, O_RDONLY | (flags & O_NONBLOCK), fops)
  k.mem.setPointer(reader.$vaOf('private_data'), deref(inode.i_pipe).$va)
  stream_open(reader)
  stream_open(writer)
  return [reader, writer]
})

/** Two files and two reserved descriptors, or -errno. @see fs/pipe.c:__do_pipe_flags */
function __do_pipe_flags(k: Kernel, flags: number): { fds: number[]; files: [file, file] } | number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL
  const files = create_pipe_files(k, flags)
  const first = get_unused_fd_flags(k, flags)
  const second = first < 0 ? first : get_unused_fd_flags(k, flags)
  if (second >= 0) return { fds: [first, second], files }
  if (first >= 0) put_unused_fd(k, first)
  for (const file of files) fput(k, file)
  return second
}

/** @param fildes user address of two ints @see fs/pipe.c:do_pipe2 */
const do_pipe2 = kfunc(
  FILE,
  function do_pipe2(k, fildes: bigint, flags: number): number {
    const made = __do_pipe_flags(k, flags)
    if (typeof made === 'number') return made
    const fd = localWords(k, 8 / k.mem.wordSize)
    made.fds.forEach((n, i) => k.mem.setU32(fd + 4 * i, n))
    if (copy_to_user(k, fildes, fd, 8) > 0) {
      made.files.forEach((file) => fput(k, file))
      made.fds.forEach((n) => put_unused_fd(k, n))
      return -EFAULT
    }
    made.fds.forEach((n, i) => fd_install(k, n, made.files[i] as file))
    return 0
  },
  { locals: 8 },
)

/** pipe2(fildes, flags) @see fs/pipe.c */
export const __x64_sys_pipe2 = kfunc(FILE, function __x64_sys_pipe2(k, regs: pt_regs): number {
  return do_pipe2(k, syscall_arg(regs, 0), syscall_int(regs, 1))
})

/** pipe(fildes) @see fs/pipe.c */
export const __x64_sys_pipe = kfunc(FILE, function __x64_sys_pipe(k, regs: pt_regs): number {
  return do_pipe2(k, syscall_arg(regs, 0), 0)
})

/** @see fs/pipe.c:pipe_poll */
const pipe_poll = kfunc(FILE, function pipe_poll(k, filp: file, wait: poll_table_struct | null): number {
  const pipe = pipeOf(k, filp)
  pipe.poll_usage = 1
  const reads = (filp.f_mode & FMODE_READ) !== 0
  const writes = (filp.f_mode & FMODE_WRITE) !== 0
  if (reads) poll_wait(k, filp, pipe.rd_wait, wait)
  if (writes) poll_wait(k, filp, pipe.wr_wait, wait)
  let mask = 0
  if (reads) {
    if (!pipe_empty(pipe)) mask |= EPOLLIN | EPOLLRDNORM
    if (pipe.writers === 0 && Number(filp.f_version) !== pipe.w_counter) mask |= EPOLLHUP
  }
  if (writes) {
    if (!pipe_full(pipe)) mask |= EPOLLOUT | EPOLLWRNORM
    if (pipe.readers === 0) mask |= EPOLLERR
  }
  return mask
})

/** One end is closed; who waits at the other learns it. @see fs/pipe.c:pipe_release */
const pipe_release = kfunc(FILE, function pipe_release(k, inode: inode, file: file): number {
  const pipe = pipeOf(k, file)
  __pipe_lock(k, pipe)
  if ((file.f_mode & FMODE_READ) !== 0) pipe.readers = pipe.readers - 1
  if ((file.f_mode & FMODE_WRITE) !== 0) pipe.writers = pipe.writers - 1
  if ((pipe.readers === 0) !== (pipe.writers === 0)) {
    __wake_up(k, pipe.rd_wait, 1, 0, 0)
    __wake_up(k, pipe.wr_wait, 1, 0, 0)
  }
  __pipe_unlock(k, pipe)
  pipe.files = pipe.files - 1
  if (pipe.files > 0) return 0
  inode.i_pipe = null
  free_pipe_info(k, pipe)
  return 0
})

/** What an anonymous pipe is called where links to it are read. @see fs/pipe.c:pipefs_dname */
export const pipefs_dname = kfunc(FILE, function pipefs_dname(_k, dentry: dentry): string {
  return `pipe:[${deref(dentry.d_inode).i_ino}]`
})

/** @see fs/pipe.c:init_pipe_fs */
export function init_pipe_fs(k: Kernel): void {
  const fops = k.global('pipefifo_fops', 'file_operations')
  fops.read_iter = k.text(pipe_read)
  fops.write_iter = k.text(pipe_write)
  fops.poll = k.text(pipe_poll)
  fops.release = k.text(pipe_release)
  k.global('anon_pipe_buf_ops', 'pipe_buf_operations').release = k.text(anon_pipe_buf_release)
  const dops = k.global('pipefs_dentry_operations', 'dentry_operations')
  dops.d_dname = k.text(pipefs_dname)
  const type = register_filesystem(k, 'pipefs', 'pipe_fs_type')
  const op: super_operations = k.global('pipefs_ops', 'super_operations')
  const sb = init_pseudo(k, type, { magic: PIPEFS_MAGIC, op, dops: dops.$addr })
  const mnt = kern_mount(k, sb, 'pipefs')
  mounts(k).pipe_mnt = mnt
  k.mem.setPointer(toVa(k.sym('pipe_mnt'), k.mem.wordSize), mnt.$va)
}
