import { beforeEach, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { for_each_mount, mount_row } from '../../../src/helpers/mount.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let task: StructRef
let ns: StructRef
let root: StructRef
let rootDentry: StructRef

beforeEach(() => {
  k = new FlatKernel()
  task = k.make('task_struct')
  const nsproxy: StructRef = k.make('nsproxy')
  ns = k.make('mnt_namespace')
  rootDentry = k.dentry('/')
  root = k.mount(rootDentry, 'rootfs')
  task.$set('nsproxy', nsproxy)
  nsproxy.$set('mnt_ns', ns)
  ns.$set('root', root)
  k.emptyList(ns.$vaOf('list'))
  k.append(ns.$vaOf('list'), root.$vaOf('mnt_list'))
})

function mounted(on: string, type: string): StructRef {
  const made = k.mount(k.dentry('/'), type, { parent: root, mountpoint: k.dentry(on, rootDentry) })
  const sb: StructRef = k.make('super_block')
  const fsType: StructRef = k.make('file_system_type')
  fsType.$set('name', k.text(type))
  sb.$set('s_type', fsType)
  made.$set('mnt.mnt_sb', sb)
  k.append(ns.$vaOf('list'), made.$vaOf('mnt_list'))
  return made
}

test('a task without namespaces has no mounts', () => {
  expect([...for_each_mount(k.make('task_struct'))]).toEqual([])
})

test('the root, then the others in order', () => {
  const proc = mounted('proc', 'proc')
  const found = [...for_each_mount(task)]
  expect(found.map(({ $va }) => $va)).toEqual([root.$va, proc.$va])
  expect(mount_row(proc)).toMatchObject({
    mount: proc.$addr,
    type: 'proc',
    devname: 'proc',
    dirname: '/proc',
  })
})

test('a superblock or device name that is not in the dump', () => {
  const tmp = mounted('tmp', 'tmpfs')
  tmp.$set('mnt.mnt_sb', 0xffffffff00000000n)
  tmp.$set('mnt_devname', 0xffffffff00000000n)
  expect(mount_row(tmp)).toMatchObject({ type: undefined, devname: undefined, dirname: '/tmp' })
})

test('a list that does not come back', () => {
  const a = mounted('a', 'a')
  k.mem.setPointer(a.$vaOf('mnt_list'), a.$vaOf('mnt_list'))
  expect(() => [...for_each_mount(task)]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})
