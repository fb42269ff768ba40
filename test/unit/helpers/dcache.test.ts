import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { FaultError } from '../../../src/base/errors.ts'
import { dentry_name, dentry_path, real_mount, vfsmount_of } from '../../../src/helpers/dcache.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel
let rootDentry: StructRef
let rootMount: StructRef
let etc: StructRef

beforeEach(() => {
  k = new FlatKernel()
  rootDentry = k.dentry('/')
  rootMount = k.mount(rootDentry, 'rootfs')
  etc = k.dentry('etc', rootDentry)
})

describe('dentry_name', () => {
  test('a short name lies in the dentry, a long one outside', () => {
    expect(dentry_name(etc)).toBe('etc')
    const long = 'x'.repeat(200)
    expect(dentry_name(k.dentry(long, rootDentry))).toBe(long)
  })

  test('a length that the string does not have: no name', () => {
    etc.$set('d_name.len', 5)
    expect(dentry_name(etc)).toBeUndefined()
  })

  test('no length, no pointer, a poisoned pointer: no name', () => {
    expect(dentry_name(k.dentry('', rootDentry))).toBeUndefined()
    etc.$set('d_name.name', 0n)
    expect(dentry_name(etc)).toBeUndefined()
    etc.$set('d_name.name', 0xdead000000000100n)
    expect(dentry_name(etc)).toBeUndefined()
  })
})

describe('dentry_path', () => {
  const path = (dentry: StructRef, mount = rootMount): string => dentry_path(dentry, vfsmount_of(mount))

  test('to the root of the only file system', () => {
    expect(path(rootDentry)).toBe('/')
    expect(path(etc)).toBe('/etc')
    expect(path(k.dentry('hosts', etc))).toBe('/etc/hosts')
  })

  test('through mounts upon mounts', () => {
    const dev = k.dentry('dev', rootDentry)
    const devRoot = k.dentry('/')
    const devMount = k.mount(devRoot, 'dev', { parent: rootMount, mountpoint: dev })
    const pts = k.dentry('pts', devRoot)
    const ptsRoot = k.dentry('/')
    const ptsMount = k.mount(ptsRoot, 'devpts', { parent: devMount, mountpoint: pts })
    expect(path(k.dentry('null', devRoot), devMount)).toBe('/dev/null')
    expect(path(k.dentry('2', ptsRoot), ptsMount)).toBe('/dev/pts/2')
    expect(path(ptsRoot, ptsMount)).toBe('/dev/pts/')
  })

  test('without a mount the path ends inside the file system', () => {
    expect(dentry_path(k.dentry('hosts', etc), null)).toBe('/etc/hosts')
  })

  test("a socket is called by its dentry's name", () => {
    const tcp = k.dentry('TCP')
    expect(path(tcp, k.mount(tcp, 'sockfs'))).toBe('TCP')
  })

  test('a pipe has no name', () => {
    const pipe = k.dentry('')
    expect(path(pipe, k.mount(pipe, 'pipefs'))).toBe('')
  })

  test('dentries that are parents of each other end', () => {
    const a = k.dentry('a', rootDentry)
    const b = k.dentry('b', a)
    a.$set('d_parent', b)
    expect(path(a).length).toBeGreaterThan(0)
  })

  test('a parent that cannot be read is a fault', () => {
    etc.$set('d_parent', 0xffffffff00000000n)
    expect(() => path(etc)).toThrow(FaultError)
  })
})

test('a vfsmount and its mount lead to each other', () => {
  expect(real_mount(vfsmount_of(rootMount)).$va).toBe(rootMount.$va)
})
