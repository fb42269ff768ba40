/** /proc/net: the directory of the network's texts, reached through /proc/self. @see fs/proc/proc_net.c */

import type { proc_dir_entry } from '../../../btf/vmlinux.ts'
import { deref } from '../../deref.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { proc_mkdir, proc_symlink } from './generic.ts'

const state = perKernel<{ net: proc_dir_entry | undefined }>(() => ({ net: undefined }))

/** `init_net.proc_net` */
export const proc_net = (k: Kernel): proc_dir_entry => deref(state(k).net ?? null)

/** @see fs/proc/proc_net.c:proc_net_init */
export function proc_net_init(k: Kernel): void {
  proc_symlink(k, 'net', null, 'self/net')
  const net = proc_mkdir(k, '.net', null)
  const init_net = k.global('init_net', 'net')
  if (init_net.$has('proc_net')) k.mem.setPointer(init_net.$vaOf('proc_net'), net.$va)
  state(k).net = net
}
