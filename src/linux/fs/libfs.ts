/** Small file systems that live in the caches alone. @see fs/libfs.c */

import type { dentry, file_system_type, inode, super_block } from '../../btf/vmlinux.ts'
import { S_IFDIR } from '../../abi/stat.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { current_time } from '../kernel/time/timekeeping.ts'
import { d_make_root } from './dcache.ts'
import { new_inode } from './inode.ts'
import { SB_KERNMOUNT, SB_NOUSER, sget_fc, type SuperOptions } from './super.ts'

/** Creation time of an inode in all three stamps. */
export function stamp(k: Kernel, inode: inode): void {
  const { tv_sec, tv_nsec } = current_time(k)
  for (const time of ['i_atime', 'i_mtime', 'i_ctime']) {
    if (!inode.$has(time)) continue
    inode.$set(`${time}.tv_sec`, tv_sec)
    inode.$set(`${time}.tv_nsec`, tv_nsec)
  }
}

/** A superblock with a root directory. */
export function superWithRoot(
  k: Kernel,
  type: file_system_type,
  options: SuperOptions,
  mode = S_IFDIR | 0o755,
): super_block {
  const sb = sget_fc(k, type, options)
  const root = new_inode(k, sb)
  root.i_ino = 1n
  root.i_mode = mode
  root.$set('__i_nlink', 2)
  setOp(k, root, 'i_op', 'simple_dir_inode_operations')
  setOp(k, root, 'i_fop', 'simple_dir_operations')
  stamp(k, root)
  sb.s_root = d_make_root(k, root)
  return sb
}

/**
 * The superblock of a file system nobody can mount: sockfs, pipefs.
 * @see fs/libfs.c:init_pseudo, pseudo_fs_fill_super
 */
export const init_pseudo = kfunc(
  'fs/libfs.c',
  function init_pseudo(
    k,
    type: file_system_type,
    options: SuperOptions & { readonly dops?: bigint; readonly xattr?: bigint },
  ): super_block {
    const sb = superWithRoot(k, type, { flags: SB_KERNMOUNT | SB_NOUSER, ...options }, S_IFDIR | 0o600)
    if (options.xattr !== undefined) k.mem.setWord(sb.$vaOf('s_xattr'), options.xattr)
    if (options.dops !== undefined) k.mem.setWord(sb.$vaOf('s_d_op'), options.dops)
    return sb
  },
)

/** Point a member at a static table, if this kernel has it. */
export function setOp(k: Kernel, inode: inode, member: 'i_op' | 'i_fop', symbol: string): void {
  const at = k.symbols.get(symbol)
  if (at !== undefined) k.mem.setWord(inode.$vaOf(member), at)
}

/** The inode of an entry that has one. */
export const d_inode = (dentry: dentry): inode => dentry.d_inode as inode
