/** Superblocks and the file system types they are of. @see fs/super.c, fs/filesystems.c */

import { toVa } from '../../base/addr.ts'
import type { file_system_type, super_block, super_operations } from '../../btf/vmlinux.ts'
import { MKDEV } from '../../abi/stat.ts'
import { hlist_add_head } from '../../structures/hlist.ts'
import { INIT_LIST_HEAD, list_add_tail } from '../../structures/list.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { kstrdup, kzalloc } from '../mm/slab.ts'

/** `super_block.s_flags` */
export const SB_NOSUID = 2n
export const SB_NODEV = 4n
export const SB_NOEXEC = 8n
export const SB_POSIXACL = 0x10000n
export const SB_KERNMOUNT = 0x400000n
export const SB_I_VERSION = 0x800000n
export const SB_NOSEC = 0x10000000n
export const SB_BORN = 0x20000000n
export const SB_ACTIVE = 0x40000000n
export const SB_NOUSER = 0x80000000n

const MAX_LFS_FILESIZE = 0x7fff_ffff_ffff_ffffn

interface State {
  /** Last anonymous device number handed out. */
  anonDevices: number
  ready: boolean
}
const state = perKernel<State>(() => ({ anonDevices: 0, ready: false }))

/** What a new superblock is to be. */
export interface SuperOptions {
  readonly id?: string
  readonly op?: super_operations
  readonly magic: bigint
  readonly blocksizeBits?: number
  readonly maxbytes?: bigint
  readonly flags?: bigint
  readonly dev?: number
  readonly timeGran?: number
}

/**
 * A superblock of a type, on the list of all of them, without a root yet.
 * @see fs/super.c:sget_fc
 */
export const sget_fc = kfunc(
  'fs/super.c',
  function sget_fc(k, type: file_system_type, options: SuperOptions): super_block {
    const sb = k.ref('super_block', kzalloc(k, k.types.sizeof('super_block')))
    for (const list of [
      's_mounts',
      's_inodes',
      's_inodes_wb',
      's_umount.wait_list',
      's_vfs_rename_mutex.wait_list',
      's_sync_lock.wait_list',
    ]) {
      if (sb.$has(list)) INIT_LIST_HEAD(k.mem, sb.$vaOf(list))
    }
    sb.s_count = 1
    sb.s_active.counter = 1
    sb.s_user_ns = k.global('init_user_ns', 'user_namespace')
    sb.s_type = type
    sb.s_magic = options.magic
    sb.s_blocksize_bits = options.blocksizeBits ?? 12
    sb.s_blocksize = 1n << BigInt(options.blocksizeBits ?? 12)
    sb.s_maxbytes = options.maxbytes ?? MAX_LFS_FILESIZE
    sb.s_time_gran = options.timeGran ?? 1
    sb.s_flags = SB_BORN | SB_ACTIVE | (options.flags ?? 0n)
    sb.s_dev = options.dev ?? MKDEV(0, ++state(k).anonDevices)
    sb.s_id.$setString(options.id ?? typeName(k, type))
    if (options.op !== undefined) sb.s_op = options.op
    listOf(k)
    list_add_tail(k.mem, sb.s_list.$va, k.global('super_blocks', 'list_head').$va)
    hlist_add_head(k.mem, sb.s_instances.$va, type.fs_supers.$va)
    return sb
  },
)

/** `super_blocks` is a static list head. */
function listOf(k: Kernel): void {
  if (state(k).ready) return
  state(k).ready = true
  INIT_LIST_HEAD(k.mem, k.global('super_blocks', 'list_head').$va)
}

function typeName(k: Kernel, type: file_system_type): string {
  const at = toVa(type.name, k.mem.wordSize)
  let text = ''
  for (let c = k.mem.u8(at); c !== 0; c = k.mem.u8(at + text.length)) text += String.fromCharCode(c)
  return text
}

/**
 * Make a type known: at the end of the `file_systems` chain.
 * @param symbol where the kernel has it; a module's type is allocated
 * @see fs/filesystems.c:register_filesystem
 */
export function register_filesystem(k: Kernel, name: string, symbol?: string): file_system_type {
  const at = symbol === undefined ? undefined : k.symbols.get(symbol)
  const type = k.ref('file_system_type', at ?? kzalloc(k, k.types.sizeof('file_system_type')))
  k.mem.setPointer(type.$vaOf('name'), kstrdup(k, name))
  const head = k.symbols.get('file_systems')
  if (head === undefined) return type
  let link = toVa(head, k.mem.wordSize)
  const next = type.$offsetof('next')
  for (let to = k.mem.pointer(link); to !== 0; to = k.mem.pointer(link)) {
    if (to === type.$va) return type
    link = to + next
  }
  k.mem.setPointer(link, type.$va)
  return type
}
