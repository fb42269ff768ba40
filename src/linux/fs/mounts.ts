/**
 * The mount tree of a booted machine: rootfs, the disk's file system on top of it, and what is mounted below.
 *
 * @see fs/namespace.c:mnt_init, init/do_mounts.c
 */

import type { mount, super_block } from '../../btf/vmlinux.ts'
import { MKDEV, S_IFBLK, S_IFCHR, S_IFDIR, S_IFREG, MEM_MAJOR, TTYAUX_MAJOR } from '../../abi/stat.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kmem_cache_create, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from '../mm/slab_common.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { dcache_init } from './dcache.ts'
import { files_init } from './file_table.ts'
import { placeOf, set_fs_pwd, set_fs_root, type Place } from './fs_struct.ts'
import { inode_init } from './inode.ts'
import { superWithRoot } from './libfs.ts'
import {
  attach_mnt,
  init_mount_tree,
  mnt_init,
  MNT_NODEV,
  MNT_NOEXEC,
  MNT_NOSUID,
  MNT_RELATIME,
  vfs_create_mount,
} from './namespace.ts'
import { ensureLink, ensurePath } from './namei.ts'
import { writeFileBytes } from './pagecache.ts'
import { proc_fill_super } from './proc/root.ts'
import { kernfs_fill_super, kernfs_init } from './sysfs/module.ts'
import { ramfs_init } from './ramfs.ts'
import { register_filesystem, SB_POSIXACL, SB_NOSUID, SB_NODEV, SB_NOEXEC } from './super.ts'

const PATH_MAX = 4096
const EXT4_SUPER_MAGIC = 0xef53n
const TMPFS_MAGIC = 0x0102_1994n
const PROC_SUPER_MAGIC = 0x9fa0n
const SYSFS_MAGIC = 0x6265_6572n
const DEVPTS_SUPER_MAGIC = 0x1cd1n
/** Major and minor of the first partition of the first disk. */
const ROOT_DEVICE = MKDEV(8, 1)

/** @see fs/dcache.c:vfs_caches_init */
export function vfs_caches_init(k: Kernel): void {
  const names = kmem_cache_create(k, 'names_cache', PATH_MAX, { flags: SLAB_HWCACHE_ALIGN | SLAB_PANIC })
  setCachePointer(k, 'names_cachep', names)
  dcache_init(k)
  inode_init(k)
  files_init(k)
  kernfs_init(k)
  mnt_init(k)
  ramfs_init(k)
  mountRoot(k)
}

/** rootfs, and the disk's file system over it; the first task's root and working directory. */
function mountRoot(k: Kernel): void {
  const rootfs = register_filesystem(k, 'rootfs', 'rootfs_fs_type')
  const rootSb = superWithRoot(k, rootfs, { magic: TMPFS_MAGIC, flags: SB_POSIXACL })
  const root = vfs_create_mount(k, rootSb, 'rootfs', 0)
  init_mount_tree(k, root)
  const ext4 = register_filesystem(k, 'ext4')
  const sb = superWithRoot(k, ext4, {
    id: 'sda1',
    magic: EXT4_SUPER_MAGIC,
    flags: SB_POSIXACL,
    dev: ROOT_DEVICE,
    maxbytes: 0xfff_ffff_f000n,
  })
  deref(deref(sb.s_root).d_inode).i_ino = 2n
  const disk = vfs_create_mount(k, sb, '/dev/sda1', MNT_RELATIME)
  attach_mnt(k, disk, root, deref(rootSb.s_root))
  const fs = k.global('init_fs', 'fs_struct')
  const place = { mnt: disk.mnt, dentry: deref(sb.s_root) }
  set_fs_root(k, fs, place)
  set_fs_pwd(k, fs, place)
}

/** Directories and files every machine has. */
const FILES: readonly string[] = [
  '/usr/lib/systemd/systemd',
  '/usr/bin/bash',
  '/usr/bin/ncat',
  '/usr/bin/sleep',
  '/usr/sbin/sshd',
  '/usr/sbin/insmod',
  '/usr/sbin/rmmod',
  '/etc/hostname',
]
/** Files with something in them. */
const TEXTS: Readonly<Record<string, string>> = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000:user:/home/user:/bin/bash\n',
  '/etc/group': 'root:x:0:\nuser:x:1000:\n',
  '/etc/hosts': '127.0.0.1\tlocalhost\n',
}
const DIRECTORIES: readonly string[] = ['/root', '/home', '/var/log', '/opt', '/srv', '/boot', '/mnt']

interface MountLine {
  readonly type: string
  readonly symbol: string | undefined
  readonly device: string
  readonly on: string
  readonly magic: bigint
  readonly flags: bigint
  readonly mnt: number
}

const SB_LOCKED = SB_NOSUID | SB_NODEV | SB_NOEXEC
const MNT_LOCKED = MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_RELATIME
const MOUNTS: readonly MountLine[] = [
  {
    type: 'sysfs',
    symbol: 'sysfs_fs_type',
    device: 'sysfs',
    on: '/sys',
    magic: SYSFS_MAGIC,
    flags: SB_LOCKED,
    mnt: MNT_LOCKED,
  },
  {
    type: 'proc',
    symbol: 'proc_fs_type',
    device: 'proc',
    on: '/proc',
    magic: PROC_SUPER_MAGIC,
    flags: SB_LOCKED,
    mnt: MNT_LOCKED,
  },
  {
    type: 'devtmpfs',
    symbol: 'dev_fs_type',
    device: 'udev',
    on: '/dev',
    magic: TMPFS_MAGIC,
    flags: SB_NOSUID,
    mnt: MNT_NOSUID | MNT_RELATIME,
  },
  {
    type: 'devpts',
    symbol: 'devpts_fs_type',
    device: 'devpts',
    on: '/dev/pts',
    magic: DEVPTS_SUPER_MAGIC,
    flags: SB_NOSUID | SB_NOEXEC,
    mnt: MNT_NOSUID | MNT_NOEXEC | MNT_RELATIME,
  },
  {
    type: 'tmpfs',
    symbol: 'shmem_fs_type',
    device: 'tmpfs',
    on: '/run',
    magic: TMPFS_MAGIC,
    flags: SB_LOCKED,
    mnt: MNT_LOCKED,
  },
  {
    type: 'tmpfs',
    symbol: 'shmem_fs_type',
    device: 'tmpfs',
    on: '/tmp',
    magic: TMPFS_MAGIC,
    flags: SB_NOSUID | SB_NODEV,
    mnt: MNT_NOSUID | MNT_NODEV | MNT_RELATIME,
  },
]

/** Mount what init mounts and make the files there are. @see init/main.c:prepare_namespace */
export function prepare_namespace(k: Kernel): void {
  for (const line of MOUNTS) mountOn(k, line)
  for (const path of DIRECTORIES) ensurePath(k, path, S_IFDIR | 0o755)
  for (const path of FILES) ensurePath(k, path, S_IFREG | 0o755)
  for (const [path, text] of Object.entries(TEXTS)) writeText(k, path, text)
  for (const name of ['bin', 'sbin', 'lib']) ensureLink(k, `/${name}`, `usr/${name}`)
  ensurePath(k, '/dev/null', S_IFCHR | 0o666, MKDEV(MEM_MAJOR, 3))
  ensurePath(k, '/dev/zero', S_IFCHR | 0o666, MKDEV(MEM_MAJOR, 5))
  ensurePath(k, '/dev/tty', S_IFCHR | 0o666, MKDEV(TTYAUX_MAJOR, 0))
  ensurePath(k, '/dev/console', S_IFCHR | 0o600, MKDEV(TTYAUX_MAJOR, 1))
  ensurePath(k, '/dev/sda1', S_IFBLK | 0o660, ROOT_DEVICE)
}

function writeText(k: Kernel, path: string, text: string): void {
  const { dentry } = ensurePath(k, path, S_IFREG | 0o644)
  writeFileBytes(k, deref(dentry.d_inode), 0, Buffer.from(text))
}

function mountOn(k: Kernel, line: MountLine): mount {
  const place: Place = ensurePath(k, line.on, S_IFDIR | 0o755)
  const type = register_filesystem(k, line.type, line.symbol)
  const isProc = line.type === 'proc'
  const op = isProc ? { op: k.global('proc_sops', 'super_operations') } : {}
  const sb: super_block = superWithRoot(k, type, { magic: line.magic, flags: line.flags, ...op })
  if (isProc) proc_fill_super(k, sb)
  if (line.type === 'sysfs') kernfs_fill_super(k, sb)
  const mnt = vfs_create_mount(k, sb, line.device, line.mnt)
  const parent = k.ref('mount', place.mnt.$va - k.types.offsetof('mount', 'mnt'))
  attach_mnt(k, mnt, parent, place.dentry)
  return mnt
}

/** Where the current task's root is. */
export const rootPlace = (k: Kernel): Place => placeOf(k.global('init_fs', 'fs_struct'), 'root')
