/** /proc itself: processes by number, and the tree of what is always there. @see fs/proc/root.c */

import type { dentry, file, inode, proc_dir_entry, super_block } from '../../../btf/vmlinux.ts'
import { S_IFDIR } from '../../../abi/stat.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import {
  seq_lseek,
  seq_open,
  seq_read_iter,
  seq_release,
  seqProcOps,
  single_open,
  single_release,
} from '../seq_file.ts'
import type { DirEntry } from '../readdir.ts'
import { pid_init, proc_pid_lookup, proc_pid_readdir, proc_setup_self, proc_single_show } from './base.ts'
import {
  entriesOf,
  PDE,
  proc_entry_init,
  proc_lookup,
  proc_lookup_de,
  proc_readdir,
  proc_root,
} from './generic.ts'
import { fillProcInode, proc_i, proc_init_kmemcache } from './inode.ts'

const FILE = 'fs/proc/root.c'
const PROC_ROOT_INO = 1

/** @see fs/proc/root.c:proc_root_lookup */
const proc_root_lookup = kfunc(
  FILE,
  function proc_root_lookup(k, _dir: inode, name: string, parent: dentry): dentry | null {
    return proc_pid_lookup(k, name, parent) ?? proc_lookup_de(k, name, parent, proc_root(k))
  },
)

/** @see fs/proc/root.c:proc_root_readdir */
const proc_root_readdir = kfunc(FILE, function proc_root_readdir(k, _file: file): DirEntry[] {
  return [...entriesOf(k, proc_root(k)), ...proc_pid_readdir(k)]
})

const proc_seq_open = kfunc('fs/proc/generic.c', function proc_seq_open(k, inode: inode, file: file): number {
  return seq_open(k, file, k.ref('seq_operations', PDE(k, inode).$int('seq_ops')))
})
const proc_seq_release = kfunc(
  'fs/proc/generic.c',
  function proc_seq_release(k, inode: inode, file: file): number {
    return seq_release(k, inode, file)
  },
)
/** Both of an entry of the tree and of one of a process: two functions of one name in the kernel. */
const proc_single_open = kfunc(
  'fs/proc/generic.c',
  function proc_single_open(k, inode: inode, file: file): number {
    const { pde } = proc_i(k, inode)
    return pde === null
      ? single_open(k, file, k.text(proc_single_show), inode.$addr)
      : single_open(k, file, pde.$int('single_show'), pde.data)
  },
)

/** Operations that all entries of a kind share. */
function sharedOps(k: Kernel): void {
  seqProcOps(k, 'proc_seq_ops', proc_seq_open, proc_seq_release)
  seqProcOps(k, 'proc_single_ops', proc_single_open, single_release)
  const ofProcess = k.global('proc_single_file_operations', 'file_operations')
  ofProcess.open = k.text(proc_single_open)
  ofProcess.read_iter = k.text(seq_read_iter)
  ofProcess.llseek = k.text(seq_lseek)
  ofProcess.release = k.text(single_release)
  k.global('proc_dir_inode_operations', 'inode_operations').lookup = k.text(proc_lookup)
  k.global('proc_dir_operations', 'file_operations').iterate_shared = k.text(proc_readdir)
  k.global('proc_root_inode_operations', 'inode_operations').lookup = k.text(proc_root_lookup)
  k.global('proc_root_operations', 'file_operations').iterate_shared = k.text(proc_root_readdir)
}

/** The tree's root, before anything is entered into it. @see fs/proc/root.c:proc_root_init */
export function proc_root_init(k: Kernel): void {
  proc_init_kmemcache(k)
  proc_entry_init(k)
  sharedOps(k)
  const root: proc_dir_entry = proc_root(k)
  root.low_ino = PROC_ROOT_INO
  root.namelen = 5
  root.mode = S_IFDIR | 0o555
  root.nlink = 2
  root.refcnt.refs.counter = 1
  root.parent = root
  root.proc_iops = k.global('proc_root_inode_operations', 'inode_operations')
  root.$set('proc_dir_ops', k.global('proc_root_operations', 'file_operations'))
  k.mem.setPointer(root.$vaOf('name'), root.$vaOf('inline_name'))
  k.mem.write(root.$vaOf('inline_name'), Buffer.from('/proc\0'))
  pid_init(k)
}

/** Its root inode becomes that of the tree's root. @see fs/proc/root.c:proc_fill_super */
export function proc_fill_super(k: Kernel, sb: super_block): void {
  const inode = deref(deref(sb.s_root).d_inode)
  fillProcInode(k, inode, proc_root(k))
  proc_setup_self(k, sb)
}
