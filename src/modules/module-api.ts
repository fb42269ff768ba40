/**
 * What the author of a module gets: the same functions the modules that ship are made of. A module's file exports by
 * default a function that is handed this object, so that it needs no import and there is one simulator in the process.
 * `docs/modules.md` explains it by example.
 */

import { dotted } from './text.ts'
import { entryOf, NI_SYSCALL, NR, patch } from './syscall_table.ts'
import { toAddr, toVa } from '../base/addr.ts'
import { ntohs } from '../base/u32.ts'
import * as errno from '../abi/errno.ts'
import * as netfilter from '../abi/netfilter.ts'
import { deref } from '../linux/deref.ts'
import { kfunc } from '../linux/kfunc.ts'
import {
  call_original,
  defineModule,
  moduleOf,
  mov_cr0,
  read_cr0,
  store_word,
  syscall_arg,
  syscall_int,
  type ModuleDefinition,
} from '../linux/kernel/module/api.ts'
import { _printk, pr_alert, pr_info } from '../linux/kernel/printk/printk.ts'
import { init_net } from '../linux/net/core/net_namespace.ts'
import { tcp_hdr } from '../linux/include/net/casts.ts'
import { ip_hdr } from '../linux/net/core/skbuff.ts'
import { nf_register_net_hook, nf_unregister_net_hook } from '../linux/net/netfilter/core.ts'

/** Handed to a module's file. */
export const moduleApi = {
  kfunc,
  defineModule,
  moduleOf,
  deref,
  toVa,
  toAddr,
  ntohs,
  dotted,
  errno,
  netfilter,
  _printk,
  pr_alert,
  pr_info,
  // system calls
  NR,
  NI_SYSCALL,
  entryOf,
  patch,
  store_word,
  mov_cr0,
  read_cr0,
  syscall_arg,
  syscall_int,
  call_original,
  // packets
  init_net,
  ip_hdr,
  tcp_hdr,
  nf_register_net_hook,
  nf_unregister_net_hook,
} as const

export type ModuleApi = typeof moduleApi

/** The default export of a module's file. */
export type ModuleFactory = (api: ModuleApi) => ModuleDefinition

export type {
  ModuleDefinition,
  ModuleFunction,
  ModuleParam,
  ModuleVariable,
  ParamType,
} from '../linux/kernel/module/api.ts'
export type { Kernel } from '../linux/kernel.ts'
