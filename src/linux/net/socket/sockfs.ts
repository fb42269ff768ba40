/**
 * sockfs: the file system whose inodes are sockets. `struct socket_alloc` holds both, so that each is found from
 * the other by its offset.
 *
 * @see net/socket.c
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { dentry, file, inode, kmem_cache, socket, super_block, vfsmount } from '../../../btf/vmlinux.ts'
import { S_IFSOCK } from '../../../abi/stat.ts'
import { O_NONBLOCK, O_RDWR } from '../../../abi/fcntl.ts'
import { deref } from '../../deref.ts'
import { alloc_file_pseudo, stream_open } from '../../fs/file_table.ts'
import { get_next_ino, inode_init_once, iput, new_inode_pseudo } from '../../fs/inode.ts'
import { init_pseudo, setOp } from '../../fs/libfs.ts'
import { kern_mount } from '../../fs/namespace.ts'
import { register_filesystem } from '../../fs/super.ts'
import { kfunc } from '../../kfunc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { init_waitqueue_head } from '../../kernel/sched/wait.ts'
import {
  kmem_cache_create,
  SLAB_ACCOUNT,
  SLAB_HWCACHE_ALIGN,
  SLAB_MEM_SPREAD,
  SLAB_RECLAIM_ACCOUNT,
} from '../../mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../mm/slub.ts'
import type { Release } from '../../include/net/proto_ops.ts'
import { sleepable } from '../../sleepable.ts'
import { sock_close, sock_poll, sock_read_iter, sock_write_iter } from './file-ops.ts'

export const SS_UNCONNECTED = 1
export const SS_CONNECTED = 3
/** @see include/uapi/linux/magic.h */
const SOCKFS_MAGIC = 0x534f434bn
const FILE = 'net/socket.c'

const cache = perKernel<{ inodes: kmem_cache | undefined }>(() => ({ inodes: undefined }))

/** `container_of(sock, struct socket_alloc, socket)->vfs_inode` @see include/net/sock.h:SOCK_INODE */
export const SOCK_INODE = (k: Kernel, sock: socket): inode =>
  k.ref('inode', sock.$va + k.types.offsetof('socket_alloc', 'vfs_inode'))
/** @see include/net/sock.h:SOCKET_I */
export const SOCKET_I = (k: Kernel, inode: { readonly $va: Va }): socket =>
  k.ref('socket', inode.$va - k.types.offsetof('socket_alloc', 'vfs_inode'))

const sock_alloc_inode = kfunc(FILE, function sock_alloc_inode(k: Kernel, _sb: super_block): inode {
  const ei = k.ref('socket_alloc', kmem_cache_alloc(k, deref(cache(k).inodes)))
  const { socket } = ei
  const wq = k.ref('socket_wq', socket.$vaOf('wq'))
  init_waitqueue_head(k, wq.wait)
  wq.fasync_list = null
  wq.flags = 0n
  socket.state = SS_UNCONNECTED
  socket.flags = 0n
  socket.ops = null
  socket.sk = null
  socket.file = null
  return ei.vfs_inode
})

const sock_free_inode = kfunc(FILE, function sock_free_inode(k: Kernel, inode: inode): void {
  kmem_cache_free(k, deref(cache(k).inodes), SOCKET_I(k, inode).$va)
})

/** What a socket is called where links to it are read: not by its dentry's name. @see net/socket.c:sockfs_dname */
const sockfs_dname = kfunc(FILE, function sockfs_dname(_k, dentry: dentry): string {
  return `socket:[${deref(dentry.d_inode).i_ino}]`
})

/** @see net/socket.c:sock_init */
export function sock_init(k: Kernel): void {
  const flags = SLAB_HWCACHE_ALIGN | SLAB_RECLAIM_ACCOUNT | SLAB_MEM_SPREAD | SLAB_ACCOUNT
  const vfs_inode = k.types.offsetof('socket_alloc', 'vfs_inode')
  cache(k).inodes = kmem_cache_create(k, 'sock_inode_cache', k.types.sizeof('socket_alloc'), {
    flags,
    ctor: (_k, object) => inode_init_once(k, k.ref('inode', object + vfs_inode)),
  })
  const at = k.symbols.get('sock_inode_cachep')
  if (at !== undefined) k.mem.setPointer(toVa(at, k.mem.wordSize), deref(cache(k).inodes).$va)
  const op = k.global('sockfs_ops', 'super_operations')
  op.alloc_inode = k.text(sock_alloc_inode)
  op.free_inode = k.text(sock_free_inode)
  const type = register_filesystem(k, 'sockfs', 'sock_fs_type')
  const dops = k.global('sockfs_dentry_operations', 'dentry_operations')
  dops.d_dname = k.text(sockfs_dname)
  const xattr = k.symbols.get('sockfs_xattr_handlers')
  const sb = init_pseudo(k, type, {
    magic: SOCKFS_MAGIC,
    op,
    dops: dops.$addr,
    ...(xattr === undefined ? {} : { xattr }),
  })
  const mnt = kern_mount(k, sb, 'sockfs')
  k.mem.setPointer(toVa(k.sym('sock_mnt'), k.mem.wordSize), mnt.$va)
  const fops = k.global('socket_file_ops', 'file_operations')
  fops.read_iter = k.text(sock_read_iter)
  fops.write_iter = k.text(sock_write_iter)
  fops.poll = k.text(sock_poll)
  fops.release = k.text(sock_close)
}

const sockMount = (k: Kernel): vfsmount =>
  k.ref('vfsmount', k.mem.pointer(toVa(k.sym('sock_mnt'), k.mem.wordSize)))

/** A socket without family or sock. @see net/socket.c:sock_alloc */
export const sock_alloc = kfunc(FILE, function sock_alloc(k: Kernel): socket {
  const inode = new_inode_pseudo(k, deref(sockMount(k).mnt_sb))
  const cred = deref(k.current.cred)
  inode.i_ino = BigInt(get_next_ino(k))
  inode.i_mode = S_IFSOCK | 0o777
  inode.i_uid.val = cred.fsuid.val
  inode.i_gid.val = cred.fsgid.val
  setOp(k, inode, 'i_op', 'sockfs_inode_ops')
  return SOCKET_I(k, inode)
})

/**
 * The file a descriptor will refer to.
 * @param dname name of its dentry: the protocol's, as `files` shows it
 * @see net/socket.c:sock_alloc_file
 */
export const sock_alloc_file = kfunc(
  FILE,
  function sock_alloc_file(k: Kernel, sock: socket, flags: number, dname: string | null): file {
    const name = dname ?? (sock.sk === null ? '' : protocolName(k, sock))
    const fops = k.global('socket_file_ops', 'file_operations')
    const file = alloc_file_pseudo(
      k,
      SOCK_INODE(k, sock),
      sockMount(k),
      name,
      O_RDWR | (flags & O_NONBLOCK),
      fops,
    )
    sock.file = file
    file.private_data = sock.$addr
    stream_open(file)
    return file
  },
)

/** `sk->sk_prot_creator->name` */
export function protocolName(k: Kernel, sock: socket): string {
  const creator = sock.sk?.sk_prot_creator ?? null
  return creator === null ? '' : k.ref('proto', creator).name.$string()
}

/** Give up a socket that never got a file, or whose file is closing. @see net/socket.c:__sock_release */
export const __sock_release = kfunc(
  FILE,
  function* __sock_release(k: Kernel, sock: socket, _inode: inode | null): Generator<unknown, void> {
    const { ops } = sock
    if (ops !== null) {
      yield* sleepable(k.indirect<Release>(ops.release)(k, sock))
      sock.sk = null
      sock.ops = null
    }
    if (sock.file === null) {
      iput(k, SOCK_INODE(k, sock))
      return
    }
    sock.file = null
  },
)

/** @see net/socket.c:sock_release */
export const sock_release = kfunc(FILE, function* sock_release(k: Kernel, sock: socket): Generator<
  unknown,
  void
> {
  yield* __sock_release(k, sock, null)
})
