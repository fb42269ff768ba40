/**
 * Names of UNIX sockets: paths, which are inodes, and abstract ones, which begin with a NUL byte. Every socket is in the
 * network's table; one with a path also in `bsd_socket_buckets`, by its inode.
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { inode, sock, sockaddr_un, unix_address, unix_sock } from '../../../btf/vmlinux.ts'
import { EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, EPROTOTYPE } from '../../../abi/errno.ts'
import { S_IFMT, S_IFSOCK } from '../../../abi/stat.ts'
import { AF_UNIX } from '../../../abi/socket.ts'
import { SOCKADDR_UN_LEN, SUN_PATH, UNIX_HASH_MOD } from '../../../abi/un.ts'
import { hlist_add_head, hlist_del_init, hlist_for_each } from '../../../structures/hlist.ts'
import { deref } from '../../deref.ts'
import { dget } from '../../fs/dcache.ts'
import { mntget } from '../../fs/namespace.ts'
import { path_lookupat, path_parentat, vfs_mknod } from '../../fs/namei.ts'
import { sk_hashed, sock_hold, __sock_put } from '../../include/net/sock.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { refcount_dec_and_test, refcount_set } from '../../lib/refcount.ts'
import { kfree, kzalloc } from '../../mm/slab.ts'
import { init_net } from '../core/net_namespace.ts'
import { csum_fold, csum_partial } from '../ipv4/checksum.ts'
import { SOCK_INODE } from '../socket/sockfs.ts'

const FILE = 'net/unix/af_unix.c'

export const unix_sk = (k: Kernel, sk: sock): unix_sock => k.ref('unix_sock', sk)

const bucket = (k: Kernel, hash: number): Va =>
  deref(init_net(k).unx.table.buckets).$va + hash * k.mem.wordSize
const bsdBucket = (k: Kernel, hash: number): Va =>
  toVa(k.sym('bsd_socket_buckets'), k.mem.wordSize) + hash * k.mem.wordSize

// ---- hashes

/** A socket without a name, by where it lies. @see net/unix/af_unix.c:unix_unbound_hash */
export function unix_unbound_hash(sk: sock): number {
  let hash = BigInt.asUintN(64, sk.$addr)
  hash ^= hash >> 16n
  hash ^= hash >> 8n
  return (Number(hash & 0xffn) ^ sk.sk_type) & UNIX_HASH_MOD
}

/** @see net/unix/af_unix.c:unix_bsd_hash */
const unix_bsd_hash = (inode: inode): number => Number(inode.i_ino & BigInt(UNIX_HASH_MOD))

/** @see net/unix/af_unix.c:unix_abstract_hash */
function unix_abstract_hash(name: Uint8Array, type: number): number {
  const sum = csum_fold(csum_partial(name))
  return UNIX_HASH_MOD + 1 + (((sum ^ (sum >>> 8) ^ type) >>> 0) & UNIX_HASH_MOD)
}

// ---- the tables

/** @see net/unix/af_unix.c:__unix_insert_socket */
export function insertSocket(k: Kernel, sk: sock): void {
  sock_hold(sk)
  hlist_add_head(k.mem, sk.sk_node.$va, bucket(k, sk.sk_hash))
}

/** @see net/unix/af_unix.c:unix_remove_socket */
export function unix_remove_socket(k: Kernel, sk: sock): void {
  if (!sk_hashed(k, sk)) return
  hlist_del_init(k.mem, sk.sk_node.$va)
  __sock_put(sk)
}

/** @see net/unix/af_unix.c:unix_remove_bsd_socket */
export function unix_remove_bsd_socket(k: Kernel, sk: sock): void {
  if (k.mem.pointer(sk.sk_bind_node.$va + k.mem.wordSize) !== 0) hlist_del_init(k.mem, sk.sk_bind_node.$va)
}

/** The socket has a name from now on. */
const __unix_set_addr_hash = kfunc(
  FILE,
  function __unix_set_addr_hash(k: Kernel, sk: sock, addr: unix_address, hash: number): void {
    unix_remove_socket(k, sk)
    unix_sk(k, sk).addr = addr
    sk.sk_hash = hash
    insertSocket(k, sk)
  },
)

// ---- addresses

/** Bytes of a name, the family in front. */
const nameBytes = (k: Kernel, addr: unix_address): Uint8Array => k.mem.read(addr.$vaOf('name'), addr.len)

/** @see net/unix/af_unix.c:unix_create_addr */
function unix_create_addr(k: Kernel, bytes: Uint8Array): unix_address {
  const addr = k.ref('unix_address', kzalloc(k, k.types.sizeof('unix_address') + bytes.length))
  refcount_set(addr.refcnt, 1)
  addr.len = bytes.length
  k.mem.write(addr.$vaOf('name'), bytes)
  return addr
}

/** @see net/unix/af_unix.c:unix_release_addr */
export function unix_release_addr(k: Kernel, addr: unix_address): void {
  if (refcount_dec_and_test(addr.refcnt)) kfree(k, addr)
}

/** @returns 0 or -EINVAL @see net/unix/af_unix.c:unix_validate_addr */
export const unix_validate_addr = (addr: sockaddr_un, len: number): number =>
  len <= SUN_PATH || len > SOCKADDR_UN_LEN || addr.sun_family !== AF_UNIX ? -EINVAL : 0

/** A path ends at its first NUL, which counts. @see net/unix/af_unix.c:unix_mkname_bsd */
function pathOf(k: Kernel, addr: sockaddr_un, len: number): { path: string; bytes: Uint8Array } {
  const raw = k.mem.read(addr.$va, len)
  const end = raw.indexOf(0, SUN_PATH)
  const path = raw.subarray(SUN_PATH, end < 0 ? len : end)
  const bytes = new Uint8Array(SUN_PATH + path.length + 1)
  bytes.set(raw.subarray(0, SUN_PATH + path.length))
  return { path: Buffer.from(path).toString('utf8'), bytes }
}

const isPath = (k: Kernel, addr: sockaddr_un): boolean => k.mem.u8(addr.$va + SUN_PATH) !== 0

/** A socket's inode is made, and found by it from now on. @see net/unix/af_unix.c:unix_bind_bsd */
function unix_bind_bsd(k: Kernel, sk: sock, sunaddr: sockaddr_un, len: number): number {
  const { path, bytes } = pathOf(k, sunaddr, len)
  if (typeof path_lookupat(k, path) !== 'number') return -EADDRINUSE
  const target = path_parentat(k, path)
  if (typeof target === 'number') return target === -EEXIST ? -EADDRINUSE : target
  const u = unix_sk(k, sk)
  if (u.addr !== null) return -EINVAL
  const umask = Number(deref(k.current.$ref('fs')).$int('umask'))
  const permissions = SOCK_INODE(k, deref(sk.sk_socket)).i_mode & 0o7777 & ~umask
  const dentry = vfs_mknod(k, target.parent, target.last, S_IFSOCK | permissions)
  mntget(k, target.parent.mnt)
  u.path.mnt = target.parent.mnt
  u.path.dentry = dget(dentry)
  __unix_set_addr_hash(k, sk, unix_create_addr(k, bytes), unix_bsd_hash(deref(dentry.d_inode)))
  hlist_add_head(k.mem, sk.sk_bind_node.$va, bsdBucket(k, sk.sk_hash))
  return 0
}

/** @see net/unix/af_unix.c:unix_bind_abstract */
function unix_bind_abstract(k: Kernel, sk: sock, sunaddr: sockaddr_un, len: number): number {
  if (unix_sk(k, sk).addr !== null) return -EINVAL
  const bytes = k.mem.read(sunaddr.$va, len)
  const hash = unix_abstract_hash(bytes, sk.sk_type)
  if (findByName(k, bytes, hash) !== null) return -EADDRINUSE
  __unix_set_addr_hash(k, sk, unix_create_addr(k, bytes), hash)
  return 0
}

/** An abstract name of five hexadecimal digits. @see net/unix/af_unix.c:unix_autobind */
export const unix_autobind = kfunc(FILE, function unix_autobind(k: Kernel, sk: sock): number {
  if (unix_sk(k, sk).addr !== null) return 0
  for (let tries = 0; tries < 0x100000; tries++) {
    const digits = ((k.random.u32() & 0xfffff) >>> 0).toString(16).padStart(5, '0')
    const bytes = Uint8Array.of(AF_UNIX, 0, 0, ...Buffer.from(digits))
    const hash = unix_abstract_hash(bytes, sk.sk_type)
    if (findByName(k, bytes, hash) !== null) continue
    __unix_set_addr_hash(k, sk, unix_create_addr(k, bytes), hash)
    return 0
  }
  return -EADDRINUSE
})

/** @returns 0, -EINVAL, -EADDRINUSE, or what the path's lookup says @see net/unix/af_unix.c:unix_bind */
export function bindName(k: Kernel, sk: sock, sunaddr: sockaddr_un, len: number): number {
  if (len === SUN_PATH && sunaddr.sun_family === AF_UNIX) return unix_autobind(k, sk)
  const err = unix_validate_addr(sunaddr, len)
  if (err !== 0) return err
  return isPath(k, sunaddr) ? unix_bind_bsd(k, sk, sunaddr, len) : unix_bind_abstract(k, sk, sunaddr, len)
}

// ---- finding

const sockAt = (k: Kernel, node: Va, member: '__sk_common.skc_node' | '__sk_common.skc_bind_node'): sock =>
  k.ref('sock', node - k.types.offsetof('sock', member))

function findByName(k: Kernel, bytes: Uint8Array, hash: number): sock | null {
  for (const node of hlist_for_each(k.mem, bucket(k, hash))) {
    const sk = sockAt(k, node, '__sk_common.skc_node')
    const { addr } = unix_sk(k, sk)
    if (addr !== null && Buffer.compare(nameBytes(k, addr), bytes) === 0) return sk
  }
  return null
}

/** @see net/unix/af_unix.c:unix_find_socket_byinode */
function findByInode(k: Kernel, inode: inode): sock | null {
  for (const node of hlist_for_each(k.mem, bsdBucket(k, unix_bsd_hash(inode)))) {
    const sk = sockAt(k, node, '__sk_common.skc_bind_node')
    if (unix_sk(k, sk).path.dentry?.d_inode?.$va === inode.$va) return sk
  }
  return null
}

/**
 * The socket of a name, held.
 * @returns a negative errno when there is none: -ECONNREFUSED, -EPROTOTYPE for one of another type
 * @see net/unix/af_unix.c:unix_find_other
 */
export const unix_find_other = kfunc(
  FILE,
  function unix_find_other(k: Kernel, sunaddr: sockaddr_un, len: number, type: number): sock | number {
    const found = isPath(k, sunaddr) ? byPath(k, sunaddr, len, type) : byAbstract(k, sunaddr, len, type)
    if (typeof found !== 'number') sock_hold(found)
    return found
  },
)

function byPath(k: Kernel, sunaddr: sockaddr_un, len: number, type: number): sock | number {
  const place = path_lookupat(k, pathOf(k, sunaddr, len).path)
  if (typeof place === 'number') return place
  const inode = deref(place.dentry.d_inode)
  if ((inode.i_mode & S_IFMT) !== S_IFSOCK) return -ECONNREFUSED
  const sk = findByInode(k, inode)
  if (sk === null) return -ECONNREFUSED
  return sk.sk_type === type ? sk : -EPROTOTYPE
}

function byAbstract(k: Kernel, sunaddr: sockaddr_un, len: number, type: number): sock | number {
  const bytes = k.mem.read(sunaddr.$va, len)
  return findByName(k, bytes, unix_abstract_hash(bytes, type)) ?? -ECONNREFUSED
}

/** A socket's name into an address. @returns its length: 2 of one without a name */
export function copyName(k: Kernel, to: Va, sk: sock): number {
  const { addr } = unix_sk(k, sk)
  const bytes = addr === null ? Uint8Array.of(AF_UNIX, 0) : nameBytes(k, addr)
  k.mem.write(to, bytes)
  return bytes.length
}
