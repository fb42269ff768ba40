/** A flat kernel where a command's text wants a target, with one task whose files can be given. */

import { toAddr } from '../../src/base/addr.ts'
import type { StructRef } from '../../src/btf/ref.ts'
import { vfsmount_of } from '../../src/helpers/dcache.ts'
import type { TaskContext } from '../../src/helpers/tasks.ts'
import type { Target } from '../../src/target/target.ts'
import { FlatKernel } from './flat-kernel.ts'

const MAX_FDS = 64

export class FlatTarget extends FlatKernel {
  readonly wordSize = 8
  readonly task: StructRef
  readonly root: StructRef
  readonly rootMount: StructRef
  readonly #fds: number
  readonly #bits: number

  constructor() {
    super()
    this.task = this.make('task_struct')
    this.root = this.dentry('/')
    this.rootMount = this.mount(this.root, 'rootfs')
    const fs: StructRef = this.make('fs_struct')
    for (const which of ['root', 'pwd']) {
      fs.$set(`${which}.dentry`, this.root)
      fs.$set(`${which}.mnt`, vfsmount_of(this.rootMount))
    }
    const files: StructRef = this.make('files_struct')
    const fdt: StructRef = this.make('fdtable')
    this.#fds = this.room(MAX_FDS * 8)
    this.#bits = this.room(MAX_FDS / 8)
    fdt.$set('max_fds', MAX_FDS)
    fdt.$set('fd', toAddr(this.#fds))
    fdt.$set('open_fds', toAddr(this.#bits))
    files.$set('fdt', fdt)
    this.task.$set('files', files)
    this.task.$set('fs', fs)
  }

  /** What the texts take; only what a flat kernel has may be used. */
  get target(): Target {
    return this as unknown as Target
  }

  get context(): TaskContext {
    const { task } = this
    return { task, va: task.$va, pid: 42, tgid: 42, comm: 'ncat', cpu: 1, parent: 0, hasMm: false }
  }

  /** An inode of a mode, alone on its page when it is to be lost. */
  inode(mode: number, alone = false): StructRef {
    const at = alone ? this.lonely(this.types.sizeof('inode')) : this.room(this.types.sizeof('inode'))
    const inode: StructRef = this.types.ref('inode', this.mem, at)
    inode.$set('i_mode', mode)
    return inode
  }

  /** Open `/name` with an inode. */
  open(fd: number, name: string, inode: StructRef): StructRef {
    const file: StructRef = this.make('file')
    file.$set('f_path.dentry', this.dentry(name, name === 'TCP' ? undefined : this.root, inode))
    file.$set('f_path.mnt', vfsmount_of(this.rootMount))
    this.mem.setPointer(this.#fds + fd * 8, file.$va)
    this.mem.setU8(this.#bits + (fd >>> 3), this.mem.u8(this.#bits + (fd >>> 3)) | (1 << (fd & 7)))
    return file
  }

  /** Open a socket; its sock lies on a page of its own. */
  openSocket(fd: number): { socket: StructRef; sk: StructRef } {
    const alloc: StructRef = this.make('socket_alloc')
    const inode = alloc.$ref('vfs_inode') as StructRef
    inode.$set('i_mode', 0o140777)
    const socket = alloc.$ref('socket') as StructRef
    const sk: StructRef = this.types.ref('tcp_sock', this.mem, this.lonely(this.types.sizeof('tcp_sock')))
    socket.$set('sk', sk)
    this.open(fd, 'TCP', inode)
    return { socket, sk }
  }
}
