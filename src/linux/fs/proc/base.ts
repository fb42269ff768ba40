/**
 * /proc/PID: what is known of a process. Entries are made when they are looked up, and are stale when the process has
 * gone.
 *
 * @see fs/proc/base.c, fs/proc/fd.c, fs/proc/self.c
 * @remarks the entries programs of scenarios read: cmdline, comm, stat, status; exe, cwd, root; fd; net
 */

import { toVa } from '../../../base/addr.ts'
import type {
  dentry,
  file,
  inode,
  mm_struct,
  pid,
  seq_file,
  super_block,
  task_struct,
} from '../../../btf/vmlinux.ts'
import { EFAULT, ENOENT } from '../../../abi/errno.ts'
import { PAGE_SIZE } from '../../../abi/page.ts'
import { PF_KTHREAD } from '../../../abi/sched.ts'
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../abi/stat.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { find_vpid, get_pid } from '../../kernel/pid.ts'
import { userPagesOf } from '../../kernel/sched/switch.ts'
import { allThreads } from '../../kernel/sched/thread.ts'
import { copy_to_user } from '../../lib/usercopy.ts'
import { page_address } from '../../mm/page_alloc.ts'
import { d_add, d_alloc, d_set_d_op } from '../dcache.ts'
import { placeOf, type Place } from '../fs_struct.ts'
import { get_next_ino, new_inode } from '../inode.ts'
import { stamp } from '../libfs.ts'
import type { DirEntry } from '../readdir.ts'
import { seq_printf } from '../seq_file.ts'
import { proc_tgid_stat, proc_pid_status } from './array.ts'
import { entriesOf, proc_lookup_de } from './generic.ts'
import { proc_i } from './inode.ts'
import { proc_net } from './proc_net.ts'

const FILE = 'fs/proc/base.c'
const FIRST_INO = 0x1000
const SELF_INO = 0xf000_0000

/** An entry of a process's directory. @see fs/proc/base.c:tgid_base_stuff */
interface PidEntry {
  readonly name: string
  readonly mode: number
  readonly iop?: string
  readonly fop?: string
  /** `proc_inode.op`: the show function of a text, the target of a link */
  readonly op?: (k: Kernel) => bigint
}

const ENTRIES: readonly PidEntry[] = [
  { name: 'fd', mode: S_IFDIR | 0o500, iop: 'proc_fd_inode_operations', fop: 'proc_fd_operations' },
  { name: 'net', mode: S_IFDIR | 0o555, iop: 'proc_net_inode_operations', fop: 'proc_net_operations' },
  {
    name: 'status',
    mode: S_IFREG | 0o444,
    fop: 'proc_single_file_operations',
    op: (k) => k.text(proc_pid_status),
  },
  { name: 'comm', mode: S_IFREG | 0o644, fop: 'proc_single_file_operations', op: (k) => k.text(comm_show) },
  { name: 'cmdline', mode: S_IFREG | 0o444, fop: 'proc_pid_cmdline_ops' },
  {
    name: 'stat',
    mode: S_IFREG | 0o444,
    fop: 'proc_single_file_operations',
    op: (k) => k.text(proc_tgid_stat),
  },
  { name: 'cwd', mode: S_IFLNK | 0o777, iop: 'proc_pid_link_inode_operations' },
  { name: 'root', mode: S_IFLNK | 0o777, iop: 'proc_pid_link_inode_operations' },
  { name: 'exe', mode: S_IFLNK | 0o777, iop: 'proc_pid_link_inode_operations' },
]

/** The task behind an inode of a process; null when it has gone. @see fs/proc/internal.h:get_proc_task */
export function get_proc_task(k: Kernel, inode: inode): task_struct | null {
  const { pid } = proc_i(k, inode)
  return pid === null ? null : taskOf(k, pid)
}

function taskOf(k: Kernel, pid: pid): task_struct | null {
  const first = k.mem.pointer(pid.$vaOf('tasks[0]'))
  return first === 0 ? null : k.ref('task_struct', first - k.types.offsetof('task_struct', 'pid_links'))
}

/** @see fs/proc/base.c:proc_pid_make_inode */
const proc_pid_make_inode = kfunc(
  FILE,
  function proc_pid_make_inode(k, sb: super_block, pid: pid, mode: number): inode {
    const inode = new_inode(k, sb)
    inode.i_mode = mode
    inode.i_ino = BigInt(get_next_ino(k))
    stamp(k, inode)
    proc_i(k, inode).pid = get_pid(pid)
    const cred = taskOf(k, pid)?.cred ?? null
    if (cred !== null) {
      inode.i_uid.val = cred.euid.val
      inode.i_gid.val = cred.egid.val
    }
    return inode
  },
)

/** An entry with its inode, in the cache, and stale as soon as the process is gone. */
function enter(k: Kernel, parent: dentry, name: string, pid: pid, entry: PidEntry): dentry {
  const inode = proc_pid_make_inode(k, deref(parent.d_sb), pid, entry.mode)
  if (entry.iop !== undefined) inode.i_op = k.global(entry.iop, 'inode_operations')
  if (entry.fop !== undefined) inode.i_fop = k.global(entry.fop, 'file_operations')
  if (entry.op !== undefined) proc_i(k, inode).$set('op.proc_show', entry.op(k))
  const dentry = d_alloc(k, parent, name)
  d_set_d_op(dentry, k.global('pid_dentry_operations', 'dentry_operations'))
  d_add(k, dentry, inode)
  return dentry
}

/** @see fs/proc/base.c:pid_revalidate */
const pid_revalidate = kfunc(FILE, function pid_revalidate(k, dentry: dentry, _flags: number): number {
  const inode = dentry.d_inode
  return inode !== null && get_proc_task(k, inode) !== null ? 1 : 0
})

const DIRECTORY: PidEntry = {
  name: '',
  mode: S_IFDIR | 0o555,
  iop: 'proc_tgid_base_inode_operations',
  fop: 'proc_tgid_base_operations',
}

/** A process by its number, as a directory. @see fs/proc/base.c:proc_pid_lookup */
export const proc_pid_lookup = kfunc(
  FILE,
  function proc_pid_lookup(k, name: string, parent: dentry): dentry | null {
    if (!/^[1-9]\d{0,8}$/.test(name)) return null
    const pid = find_vpid(k, Number(name))
    if (pid === null || taskOf(k, pid) === null) return null
    return enter(k, parent, name, pid, DIRECTORY)
  },
)

/** Processes by number. @see fs/proc/base.c:proc_pid_readdir */
export const proc_pid_readdir = kfunc(FILE, function proc_pid_readdir(k): DirEntry[] {
  return allThreads(k)
    .filter(({ task }) => task.pid > 0 && task.pid === task.tgid && find_vpid(k, task.pid) !== null)
    .map(({ task }) => ({ name: String(task.pid), ino: BigInt(FIRST_INO + task.pid), mode: S_IFDIR }))
    .sort((a, b) => Number(a.name) - Number(b.name))
})

const pidOf = (k: Kernel, inode: inode): pid => deref(proc_i(k, inode).pid)

const proc_tgid_base_lookup = kfunc(
  FILE,
  function proc_tgid_base_lookup(k, dir: inode, name: string, parent: dentry): dentry | null {
    const entry = ENTRIES.find((e) => e.name === name)
    return entry === undefined ? null : enter(k, parent, name, pidOf(k, dir), entry)
  },
)
const proc_tgid_base_readdir = kfunc(FILE, function proc_tgid_base_readdir(_k, _file: file): DirEntry[] {
  return ENTRIES.map(({ name, mode }, i) => ({ name, ino: BigInt(FIRST_INO + i), mode }))
})

/** Descriptors as links. @see fs/proc/fd.c:proc_lookupfd */
const proc_lookupfd = kfunc(
  'fs/proc/fd.c',
  function proc_lookupfd(k, dir: inode, name: string, parent: dentry): dentry | null {
    const task = get_proc_task(k, dir)
    if (task === null || !/^\d{1,6}$/.test(name) || fileAt(k, task, Number(name)) === null) return null
    const entry = { name, mode: S_IFLNK | 0o700, iop: 'proc_pid_link_inode_operations' }
    const dentry = enter(k, parent, name, pidOf(k, dir), entry)
    proc_i(k, deref(dentry.d_inode)).fd = Number(name)
    return dentry
  },
)
const proc_readfd = kfunc('fs/proc/fd.c', function proc_readfd(k, file: file): DirEntry[] {
  const task = get_proc_task(k, deref(file.f_inode))
  const files = task?.files ?? null
  if (task === null || files === null) return []
  const fds = Array.from({ length: deref(files.fdt).max_fds }, (_, fd) => fd)
  return fds
    .filter((fd) => fileAt(k, task, fd) !== null)
    .map((fd) => ({ name: String(fd), ino: BigInt(FIRST_INO + fd), mode: S_IFLNK }))
})

function fileAt(k: Kernel, task: task_struct, fd: number): file | null {
  const fdt = task.files?.fdt ?? null
  if (fdt === null || fd >= fdt.max_fds) return null
  const at = k.mem.pointer(k.mem.pointer(fdt.$vaOf('fd')) + fd * k.mem.wordSize)
  return at === 0 ? null : k.ref('file', at)
}

/** Where a link of a process leads: to the place itself, whatever its name. @see fs/proc/base.c:proc_pid_get_link */
const proc_pid_get_link = kfunc(FILE, function proc_pid_get_link(k, dentry: dentry, inode: inode):
  Place | number {
  const task = get_proc_task(k, inode)
  if (task === null) return -ENOENT
  const name = nameIn(k, dentry)
  const fs = task.$ref('fs')
  if (name === 'cwd' || name === 'root')
    return fs === null ? -ENOENT : placeOf(fs, name === 'cwd' ? 'pwd' : 'root')
  const file = name === 'exe' ? (task.mm?.exe_file ?? null) : fileAt(k, task, proc_i(k, inode).fd)
  if (file === null) return -ENOENT
  return { mnt: deref(file.f_path.mnt), dentry: deref(file.f_path.dentry) }
})

const nameIn = (k: Kernel, dentry: dentry): string =>
  Buffer.from(k.mem.read(toVa(dentry.d_name.name, k.mem.wordSize), dentry.d_name.len)).toString('latin1')

/** @see fs/proc/proc_net.c:proc_tgid_net_lookup */
const proc_tgid_net_lookup = kfunc(
  'fs/proc/proc_net.c',
  function proc_tgid_net_lookup(k, _dir: inode, name: string, parent: dentry): dentry | null {
    return proc_lookup_de(k, name, parent, proc_net(k))
  },
)
const proc_tgid_net_readdir = kfunc(
  'fs/proc/proc_net.c',
  function proc_tgid_net_readdir(k, _file: file): DirEntry[] {
    return entriesOf(k, proc_net(k))
  },
)

/** A text of one record, about the process. @see fs/proc/base.c:proc_single_show */
export const proc_single_show = kfunc(FILE, function proc_single_show(k, m: seq_file, _v: bigint): number {
  const inode = k.ref('inode', m.private)
  const task = get_proc_task(k, inode)
  if (task === null) return -ENOENT
  const show = proc_i(k, inode).$int('op.proc_show')
  return k.indirect<typeof proc_pid_status>(show)(k, m, task)
})

const comm_show = kfunc(FILE, function comm_show(k, m: seq_file, task: task_struct): number {
  seq_printf(k, m, `${task.comm.$string()}\n`)
  return 0
})

/** The arguments as they lie in the process's own memory. @see fs/proc/base.c:get_mm_cmdline */
const proc_pid_cmdline_read = kfunc(
  FILE,
  function proc_pid_cmdline_read(k, file: file, buf: bigint, count: number, ppos: number): number {
    const task = get_proc_task(k, deref(file.f_inode))
    if (task === null) return -ENOENT
    const { mm } = task
    if (mm === null || (task.flags & PF_KTHREAD) !== 0) return 0
    const pos = Number(k.mem.u64(ppos))
    const bytes = userBytes(k, mm, mm.arg_start + BigInt(pos), mm.arg_end, count)
    if (copy_to_user(k, buf, bytes, bytes.length) > 0) return -EFAULT
    k.mem.setU64(ppos, BigInt(pos + bytes.length))
    return bytes.length
  },
)

/** Bytes of another process's memory, as far as its pages are there. @see mm/memory.c:access_remote_vm */
function userBytes(k: Kernel, mm: mm_struct, from: bigint, to: bigint, limit: number): Uint8Array {
  const size = Math.max(0, Math.min(Number(to - from), limit))
  const parts: Uint8Array[] = []
  const pages = userPagesOf(k).get(mm.$va)
  for (let at = Number(from); at < Number(from) + size;) {
    const pfn = pages?.get(Math.floor(at / PAGE_SIZE))
    const n = Math.min(PAGE_SIZE - (at % PAGE_SIZE), Number(from) + size - at)
    if (pfn === undefined) break
    parts.push(k.mem.read(page_address(k, pfn) + (at % PAGE_SIZE), n))
    at += n
  }
  return Buffer.concat(parts)
}

/** `/proc/self`. @see fs/proc/self.c:proc_self_get_link */
const proc_self_get_link = kfunc(
  'fs/proc/self.c',
  function proc_self_get_link(k, _d: dentry, _i: inode): string {
    return String(k.current.tgid)
  },
)

/** @see fs/proc/self.c:proc_setup_self */
export function proc_setup_self(k: Kernel, sb: super_block): void {
  const inode = new_inode(k, sb)
  inode.i_ino = BigInt(SELF_INO)
  inode.i_mode = S_IFLNK | 0o777
  inode.i_op = k.global('proc_self_inode_operations', 'inode_operations')
  stamp(k, inode)
  d_add(k, d_alloc(k, deref(sb.s_root), 'self'), inode)
}

/** Operations of all this. */
export function pid_init(k: Kernel): void {
  const iops = (symbol: string) => k.global(symbol, 'inode_operations')
  const fops = (symbol: string) => k.global(symbol, 'file_operations')
  iops('proc_tgid_base_inode_operations').lookup = k.text(proc_tgid_base_lookup)
  fops('proc_tgid_base_operations').iterate_shared = k.text(proc_tgid_base_readdir)
  iops('proc_fd_inode_operations').lookup = k.text(proc_lookupfd)
  fops('proc_fd_operations').iterate_shared = k.text(proc_readfd)
  iops('proc_pid_link_inode_operations').get_link = k.text(proc_pid_get_link)
  iops('proc_net_inode_operations').lookup = k.text(proc_tgid_net_lookup)
  fops('proc_net_operations').iterate_shared = k.text(proc_tgid_net_readdir)
  iops('proc_self_inode_operations').get_link = k.text(proc_self_get_link)
  k.global('pid_dentry_operations', 'dentry_operations').d_revalidate = k.text(pid_revalidate)
  fops('proc_pid_cmdline_ops').read = k.text(proc_pid_cmdline_read)
}
