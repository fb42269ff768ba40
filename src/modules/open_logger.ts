/**
 * `open_logger [prototype=old]`: logs the name of every file opened with open(2), and the user who opens it.
 *
 * The C library opens files with openat(2), of which it sees nothing. With `prototype=old` the hook takes its arguments
 * as they came up to 4.16; on later x86-64 kernels it then reads garbage.
 */

import type { pt_regs } from '../btf/vmlinux.ts'
import { deref } from '../linux/deref.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { call_original, defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { pr_info } from '../linux/kernel/printk/printk.ts'
import { openName, printable } from './open_name.ts'
import { intercept, NR, restore } from './syscall_table.ts'

const NAME = 'open_logger'
const FILE = 'open_logger.c'
const OWN = { module: NAME } as const

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)

const logged_open = kfunc(
  FILE,
  function* logged_open(k, regs: pt_regs): Generator<unknown, number> {
    const me = self(k)
    const name = openName(k, regs, me.charp('prototype') === 'old')
    pr_info(k, `[open_logger] ${printable(name)} opened by uid ${deref(k.current.cred).uid.val}`)
    return yield* call_original(k, me.word('original_open'), regs)
  },
  OWN,
)

const open_logger_init = kfunc(
  FILE,
  function open_logger_init(k): number {
    intercept(k, self(k), 'original_open', NR(k, 'open'), logged_open)
    return 0
  },
  OWN,
)

const open_logger_exit = kfunc(
  FILE,
  function open_logger_exit(k): void {
    restore(k, self(k), 'original_open', NR(k, 'open'))
  },
  OWN,
)

export const open_logger = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'logs open(2)',
  params: [{ name: 'prototype', type: 'charp', description: '"old": arguments as they came up to 4.16' }],
  imports: ['_printk', 'sys_call_table', 'strncpy_from_user', 'param_ops_charp'],
  functions: [logged_open],
  variables: [{ name: 'original_open', size: 8 }],
  init: open_logger_init,
  exit: open_logger_exit,
})
