/** The way from a descriptor to the sock, each step with the address it was read from and the C rule that allows it. */

import { toAddr, toVa } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { fget, file_dentry, file_inode, S_ISSOCK } from '../helpers/fs.ts'
import { dentry_name } from '../helpers/dcache.ts'
import { SOCKET_I } from '../helpers/sock.ts'
import type { Step } from './facts.ts'

export interface Walk {
  readonly steps: readonly Step[]
  readonly file: StructRef
  readonly socket: StructRef
  readonly sk: StructRef | null
}

const step = (ref: StructRef, member: string, rule: string): Step => ({
  struct: `struct ${ref.$type.name}`,
  address: ref.$addr,
  member,
  at: toAddr(ref.$vaOf(member)),
  value: ref.$int(member),
  rule,
})

/**
 * Walk `task->files->fdt->fd[n]` to the sock.
 * @throws LookupError when the descriptor is not open or no socket
 */
export function walkDescriptor(task: StructRef, fd: number): Walk {
  const file = fget(task, fd)
  if (file === undefined) throw new LookupError('member', `open descriptor ${fd} in this task`)
  const inode = file_inode(file)
  if (inode === null || !S_ISSOCK(inode)) throw new LookupError('member', `socket at descriptor ${fd}`)
  const socket = SOCKET_I(inode)
  const steps = [...descriptorSteps(task, fd), ...fileSteps(file, inode, socket)]
  return { steps, file, socket, sk: socket.$ref('sk') }
}

function descriptorSteps(task: StructRef, fd: number): Step[] {
  const files = task.$ref('files')
  const fdt = files?.$ref('fdt') ?? null
  if (files === null || fdt === null) return []
  const table = toVa(fdt.$int('fd'), task.$mem.wordSize)
  const slot = table + fd * task.$mem.wordSize
  return [
    step(task, 'files', 'the task shares this table with its threads'),
    step(files, 'fdt', 'the table grows by replacement, so it is behind a pointer'),
    {
      struct: 'struct fdtable',
      address: fdt.$addr,
      member: `fd[${fd}]`,
      at: toAddr(slot),
      value: task.$mem.word(slot),
      rule: `slot ${fd} of ${fdt.$int('max_fds')}: the open file`,
    },
  ]
}

function fileSteps(file: StructRef, inode: StructRef, socket: StructRef): Step[] {
  const dentry = file_dentry(file)
  const name = dentry === null ? undefined : dentry_name(dentry)
  const offset = socket.$types.offsetof('socket_alloc', 'vfs_inode')
  const label = name === undefined ? '' : ` Its name, "${name}", is the protocol's name and only a label`
  return [
    step(file, 'f_path.dentry', `the directory entry sock_alloc_file() made.${label}`),
    step(
      file,
      'f_inode',
      `i_mode 0${inode.$int('i_mode').toString(8)}: S_IFSOCK, so a socket lies in front of it`,
    ),
    {
      struct: 'struct inode',
      address: inode.$addr,
      member: 'SOCKET_I(inode)',
      at: inode.$addr,
      value: socket.$addr,
      rule: `SOCKET_I(inode) = inode - offsetof(struct socket_alloc, vfs_inode) = inode - 0x${offset.toString(16)}`,
    },
    step(
      file,
      'private_data',
      file.$int('private_data') === socket.$addr
        ? 'the same struct socket: sock_alloc_file() stored it when the file was made'
        : 'NOT the socket the inode belongs to: one of the two was changed',
    ),
    step(socket, 'sk', "the protocol's side of the socket"),
  ]
}
