/** Mounts: the list of a mount namespace, and what each one mounts where. */

import { FaultError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { LIST_HOPS_MAX } from '../structures/list.ts'
import { dentry_path, vfsmount_of } from './dcache.ts'
import { readStringAt } from './kernel.ts'

/** `struct super_block *` of a mount. */
export function mount_sb(mount: StructRef): StructRef | null {
  return vfsmount_of(mount).$ref('mnt_sb')
}

/**
 * The mounts of a task's namespace, its root first, in the order they were made.
 *
 * @param task `struct task_struct *`
 * @throws FaultError, ValidationError in the middle of the list; what comes before has been delivered
 * @see fs/namespace.c:m_start
 */
export function* for_each_mount(task: StructRef): Generator<StructRef> {
  const ns = task.$ref('nsproxy')?.$ref('mnt_ns') ?? null
  const root = ns?.$ref('root') ?? null
  if (ns === null || root === null) return
  const end = ns.$vaOf('list')
  const mnt_list = root.$offsetof('mnt_list')
  let mount = root
  const seen = new Set<number>()
  for (let hops = 0; hops < LIST_HOPS_MAX; hops++) {
    if (seen.has(mount.$va)) throw new ValidationError(mount.$addr, 'a mount list that ends', 'a loop')
    seen.add(mount.$va)
    yield mount
    const next = mount.$mem.pointer(mount.$va + mnt_list)
    if (next === end || next === root.$va + mnt_list) return
    if (next === 0 || Number.isNaN(next)) {
      throw new ValidationError(mount.$addr, 'a next mount', 'no pointer')
    }
    mount = root.$types.refTo(root.$type, root.$mem, next - mnt_list)
  }
}

/** A mount, read. */
export interface MountRow {
  readonly mount: bigint
  readonly superblk: bigint
  /** name of the file system; undefined when it cannot be read */
  readonly type: string | undefined
  readonly devname: string | undefined
  /** where it is mounted */
  readonly dirname: string
}

/** What crash's `mount` shows of one. @throws FaultError when the mount itself cannot be read */
export function mount_row(mount: StructRef): MountRow {
  const sb = mount_sb(mount)
  const dentry = mount.$ref('mnt_mountpoint')
  const parent = mount.$ref('mnt_parent')
  return {
    mount: mount.$addr,
    superblk: sb?.$addr ?? 0n,
    type: readable(() => readStringAt(sb?.$ref('s_type') as StructRef, 'name', 256)),
    devname: readable(() => readStringAt(mount, 'mnt_devname', 1499)),
    dirname: dentry === null ? '' : dentry_path(dentry, parent === null ? null : vfsmount_of(parent)),
  }
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof FaultError || error instanceof TypeError) return undefined
    throw error
  }
}
