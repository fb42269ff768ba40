/** Open files: from a task to its descriptor table, its `struct file`s, their inodes and paths. */

import { toVa, type Va } from '../base/addr.ts'
import { FaultError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { dentry_path, real_mount } from './dcache.ts'
import { findSymbolVa, readStringAt, type Kernel } from './kernel.ts'

/** More descriptors than a task may have by any setting of fs.nr_open; a larger table is damage. */
const MAX_FDS = 0x4000_0000 / 64

/** @see include/uapi/linux/stat.h */
export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
const S_IFLNK = 0o120000
const S_IFREG = 0o100000
const S_IFBLK = 0o060000
const S_IFDIR = 0o040000
const S_IFCHR = 0o020000
const S_IFIFO = 0o010000

const TYPE_NAMES = new Map([
  [S_IFSOCK, 'SOCK'],
  [S_IFLNK, 'LNK '],
  [S_IFREG, 'REG '],
  [S_IFBLK, 'BLK '],
  [S_IFDIR, 'DIR '],
  [S_IFCHR, 'CHR '],
  [S_IFIFO, 'FIFO'],
])

/** A descriptor and what it refers to. */
export interface OpenFile {
  readonly fd: number
  /** `struct file *` */
  readonly file: StructRef
}

/**
 * The descriptor table of a task, or undefined when it has none (a kernel thread past exit_files, a zombie).
 *
 * @param task `struct task_struct *`
 * @returns `struct fdtable *`; before 2.6.14 the `struct files_struct *` itself, whose members are named alike
 */
export function task_fdtable(task: StructRef): StructRef | undefined {
  const files = task.$ref('files')
  if (files === null) return undefined
  return files.$has('fdt') ? (files.$ref('fdt') ?? undefined) : files
}

/**
 * A task's open files in order of descriptor. The open_fds bitmap drives the walk: a descriptor that is reserved
 * but has no file yet (inside accept or open) is passed over.
 *
 * @param task `struct task_struct *`
 * @throws FaultError when the table cannot be read; files before that have been delivered
 * @see fs/file.c:iterate_fd
 */
export function* for_each_file(task: StructRef): Generator<OpenFile> {
  const fdt = task_fdtable(task)
  if (fdt === undefined) return
  const { $mem: mem, $types: types } = fdt
  const wordSize = mem.wordSize
  const maxFds = Math.min(Number(fdt.$int('max_fds')), MAX_FDS)
  const bits = pointerIn(fdt, 'open_fds')
  const table = pointerIn(fdt, 'fd')
  if (bits === 0 || table === 0) return
  const fileType = types.struct('file')
  for (let base = 0; base < maxFds; base += wordSize * 8) {
    let word = mem.word(bits + base / 8)
    for (let fd = base; word !== 0n; fd++, word >>= 1n) {
      if ((word & 1n) === 0n) continue
      const slot = table + fd * wordSize
      const va = mem.pointer(slot)
      if (va === 0) continue
      yield { fd, file: types.refTo(fileType, mem, va, Number.isNaN(va) ? mem.word(slot) : undefined) }
    }
  }
}

/** Descriptors that are reserved but have no file: taken by a call that is still under way. */
export function reserved_fds(task: StructRef): number[] {
  const open = new Set<number>()
  for (const { fd } of for_each_file(task)) open.add(fd)
  const fdt = task_fdtable(task)
  if (fdt === undefined) return []
  const { $mem: mem } = fdt
  const bits = pointerIn(fdt, 'open_fds')
  const maxFds = bits === 0 ? 0 : Math.min(Number(fdt.$int('max_fds')), MAX_FDS)
  const reserved: number[] = []
  for (let fd = 0; fd < maxFds; fd++) {
    if (((mem.u8(bits + (fd >>> 3)) >>> (fd & 7)) & 1) === 1 && !open.has(fd)) reserved.push(fd)
  }
  return reserved
}

/** `struct file *` of one descriptor, as fget() finds it. @see fs/file.c:fget */
export function fget(task: StructRef, fd: number): StructRef | undefined {
  for (const open of for_each_file(task)) {
    if (open.fd === fd) return open.file
    if (open.fd > fd) return undefined
  }
  return undefined
}

/** `struct dentry *` a file was opened by (`f_dentry` before 3.19). */
export function file_dentry(file: StructRef): StructRef | null {
  return file.$ref(file.$has('f_path.dentry') ? 'f_path.dentry' : 'f_dentry')
}

/** `struct vfsmount *` a file was opened through. */
export function file_vfsmount(file: StructRef): StructRef | null {
  return file.$ref(file.$has('f_path.mnt') ? 'f_path.mnt' : 'f_vfsmnt')
}

/** `struct inode *` of a file: that of its dentry. */
export function file_inode(file: StructRef): StructRef | null {
  return file_dentry(file)?.$ref('d_inode') ?? null
}

/**
 * A file's path from the root of everything. A terminal's path inside devpts begins with `/dev`, as crash has it.
 *
 * @param file `struct file *`
 */
export function file_path(file: StructRef): string {
  const dentry = file_dentry(file)
  if (dentry === null) return ''
  const vfsmount = file_vfsmount(file)
  const path = dentry_path(dentry, vfsmount)
  if (!path.startsWith('/pts/') || vfsmount === null) return path
  return readStringAt(real_mount(vfsmount), 'mnt_devname', 256) === 'devpts' ? `/dev${path}` : path
}

/** Type of an inode in crash's four letters, `UNKN` for the anonymous kinds. @see include/linux/fs.h */
export function inode_type(kernel: Kernel, inode: StructRef): string {
  const type = TYPE_NAMES.get(Number(inode.$int('i_mode')) & S_IFMT) ?? 'UNKN'
  return type === 'FIFO' && is_pipe(kernel, inode) ? 'PIPE' : type
}

/** Old kernels tell a pipe from a named FIFO by its operations. */
function is_pipe(kernel: Kernel, inode: StructRef): boolean {
  for (const [symbol, member] of [
    ['pipe_inode_operations', 'i_op'],
    ['rdwr_pipe_fops', 'i_fop'],
  ] as const) {
    const va = findSymbolVa(kernel, symbol)
    if (va === undefined) continue
    return toVa(inode.$int(member), kernel.mem.wordSize) === va
  }
  return false
}

/** Is the inode a socket's? */
export function S_ISSOCK(inode: StructRef): boolean {
  return (Number(inode.$int('i_mode')) & S_IFMT) === S_IFSOCK
}

/** Root or working directory of a task as a path; empty when it has none. */
export function task_dir(task: StructRef, which: 'root' | 'pwd'): string {
  const fs = task.$ref('fs')
  if (fs === null) return ''
  const dentry = fs.$ref(`${which}.dentry`)
  return dentry === null ? '' : dentry_path(dentry, fs.$ref(`${which}.mnt`))
}

/** What `files` shows of one descriptor. Addresses are 0 where there is nothing to show. */
export interface FileRow {
  readonly fd: number
  readonly file: bigint
  readonly dentry: bigint
  readonly inode: bigint
  /** `REG `, `SOCK`, …; `?` without an inode */
  readonly type: string
  readonly path: string
  /** `inode.i_mapping` and the pages it holds, of a readable inode */
  readonly mapping?: { readonly i_mapping: bigint; readonly nrpages: bigint }
  /** why the row is not complete */
  readonly unreadable?: FaultError
}

/** Read one open file. Never throws a FaultError: the row says what could not be read. */
export function file_row(kernel: Kernel, { fd, file }: OpenFile): FileRow {
  const row = { fd, file: file.$addr as bigint, dentry: 0n, inode: 0n, type: '?', path: '?' }
  try {
    const dentry = file_dentry(file)
    if (dentry === null) return row
    row.dentry = dentry.$addr
    const inode = dentry.$ref('d_inode')
    if (inode === null) return row
    row.inode = inode.$addr
    row.type = inode_type(kernel, inode)
    const path = file_path(file)
    row.path = row.type === 'PIPE' || (row.type === 'SOCK' && path === '/') ? '' : path
    return { ...row, mapping: inode_mapping(inode) }
  } catch (unreadable) {
    if (unreadable instanceof FaultError) return { ...row, unreadable }
    throw unreadable
  }
}

/** `inode.i_mapping` and how many pages it has. */
export function inode_mapping(inode: StructRef): { i_mapping: bigint; nrpages: bigint } {
  const mapping = inode.$ref('i_mapping')
  return mapping === null
    ? { i_mapping: 0n, nrpages: 0n }
    : { i_mapping: mapping.$addr, nrpages: mapping.$int('nrpages') }
}

/** A pointer member as an address; 0 when it is NULL. @throws FaultError when it cannot be an address */
function pointerIn(ref: StructRef, member: string): Va {
  const raw = ref.$int(member)
  const va = toVa(raw, ref.$mem.wordSize)
  if (Number.isNaN(va)) throw new FaultError(raw, ref.$mem.wordSize, 'non-canonical')
  return va
}
