import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { file_row, for_each_file, fget, inode_type, reserved_fds, task_dir } from '../../../src/helpers/fs.ts'
import { vfsmount_of } from '../../../src/helpers/dcache.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let task: StructRef
let fdt: StructRef
let fds: number
let bits: number
let root: StructRef
let mount: StructRef

beforeEach(() => {
  k = new FlatKernel()
  task = k.make('task_struct')
  const files: StructRef = k.make('files_struct')
  fdt = k.make('fdtable')
  fds = k.room(256 * 8)
  bits = k.room(256 / 8)
  fdt.$set('max_fds', 256)
  fdt.$set('fd', BigInt(fds))
  fdt.$set('open_fds', BigInt(bits))
  files.$set('fdt', fdt)
  task.$set('files', files)
  root = k.dentry('/')
  mount = k.mount(root, 'rootfs')
})

function inode(mode: number): StructRef {
  const made: StructRef = k.make('inode')
  made.$set('i_mode', mode)
  return made
}

function open(fd: number, dentry: StructRef | null): StructRef {
  const file: StructRef = k.make('file')
  file.$set('f_path.dentry', dentry)
  file.$set('f_path.mnt', vfsmount_of(mount))
  k.mem.setPointer(fds + fd * 8, file.$va)
  reserve(fd)
  return file
}

function reserve(fd: number): void {
  k.mem.setU8(bits + (fd >>> 3), k.mem.u8(bits + (fd >>> 3)) | (1 << (fd & 7)))
}

describe('for_each_file', () => {
  test('no files_struct, or no table: none', () => {
    expect([...for_each_file(k.make('task_struct'))]).toEqual([])
    expect([...for_each_file(task)]).toEqual([])
  })

  test('in order, beyond the first word, reserved ones passed over', () => {
    const made = [0, 63, 64, 200].map((fd) => open(fd, null))
    reserve(5)
    const found = [...for_each_file(task)]
    expect(found.map(({ fd }) => fd)).toEqual([0, 63, 64, 200])
    expect(found.map(({ file }) => file.$va)).toEqual(made.map(({ $va }) => $va))
    expect(reserved_fds(task)).toEqual([5])
    expect(fget(task, 64)?.$va).toBe(made[2]?.$va)
    expect(fget(task, 65)).toBeUndefined()
  })

  test('a file pointer that is no address is delivered as it is', () => {
    open(0, null)
    k.mem.setU64(fds, 0xdead000000000100n)
    const [first] = [...for_each_file(task)]
    expect(first?.file.$addr).toBe(0xdead000000000100n)
    expect(file_row(k, first as never)).toMatchObject({ file: 0xdead000000000100n, type: '?' })
  })

  test('max_fds that no process may have does not read for ever', () => {
    fdt.$set('max_fds', 0xffffffff)
    open(0, null)
    expect(() => [...for_each_file(task)]).toThrow(/cannot read/)
  })
})

describe('file_row', () => {
  test('a regular file with its pages', () => {
    const node = inode(0o100644)
    const mapping: StructRef = k.make('address_space')
    mapping.$set('nrpages', 3n)
    node.$set('i_mapping', mapping)
    const file = open(3, k.dentry('notes.txt', root, node))
    expect(file_row(k, { fd: 3, file })).toEqual({
      fd: 3,
      file: file.$addr,
      dentry: file.$ref('f_path.dentry')?.$addr,
      inode: node.$addr,
      type: 'REG ',
      path: '/notes.txt',
      mapping: { i_mapping: mapping.$addr, nrpages: 3n },
    })
  })

  test('no dentry, no inode: question marks', () => {
    expect(file_row(k, { fd: 0, file: open(0, null) })).toMatchObject({ dentry: 0n, inode: 0n, path: '?' })
    const gone = open(1, k.dentry('gone', root))
    expect(file_row(k, { fd: 1, file: gone })).toMatchObject({ inode: 0n, type: '?', path: '?' })
  })

  test('a page that is missing: what was read before it stays', () => {
    const node = k.types.ref('inode', k.mem, k.lonely(k.types.sizeof('inode'))) as StructRef
    const file = open(0, k.dentry('x', root, node))
    k.mem.unmap(node.$va)
    const row = file_row(k, { fd: 0, file })
    expect(row.dentry).not.toBe(0n)
    expect(row.unreadable?.code).toBe('FAULT')
  })

  test('a terminal in devpts has /dev before it', () => {
    const pts = k.dentry('pts', root)
    const ptsRoot = k.dentry('/')
    mount = k.mount(ptsRoot, 'devpts', { parent: mount, mountpoint: pts })
    const file = open(0, k.dentry('2', ptsRoot, inode(0o020620)))
    expect(file_row(k, { fd: 0, file })).toMatchObject({ type: 'CHR ', path: '/dev/pts/2' })
  })
})

test.each([
  [0o140777, 'SOCK'],
  [0o120777, 'LNK '],
  [0o100644, 'REG '],
  [0o060660, 'BLK '],
  [0o040755, 'DIR '],
  [0o020666, 'CHR '],
  [0o010600, 'FIFO'],
  [0o000600, 'UNKN'],
])('inode_type: mode %o is %s', (mode, type) => {
  expect(inode_type(k, inode(mode))).toBe(type)
})

test('old kernels: a FIFO with the operations of a pipe is a PIPE', () => {
  const node = inode(0o010600)
  k.symbol('pipe_inode_operations', k.room(64))
  expect(inode_type(k, node)).toBe('FIFO')
  node.$set('i_op', k.sym('pipe_inode_operations'))
  expect(inode_type(k, node)).toBe('PIPE')
})

test('task_dir: root and working directory, empty without an fs_struct', () => {
  expect(task_dir(task, 'root')).toBe('')
  const fs: StructRef = k.make('fs_struct')
  fs.$set('root.dentry', root)
  fs.$set('root.mnt', vfsmount_of(mount))
  fs.$set('pwd.dentry', k.dentry('tmp', root))
  fs.$set('pwd.mnt', vfsmount_of(mount))
  task.$set('fs', fs)
  expect(task_dir(task, 'root')).toBe('/')
  expect(task_dir(task, 'pwd')).toBe('/tmp')
})
