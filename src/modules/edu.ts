/**
 * `edu [pid=PID]`: logs every fork(2), and refuses it to one process.
 *
 * It refers to `sys_call_table` by name, which no kernel since 2.6 exports: without a patch it is not loaded. It sees
 * nothing of a C library that makes its children with clone(2).
 */

import { EPERM } from '../abi/errno.ts'
import { KERN_ALERT } from '../abi/printk.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { call_original, defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { _printk, pr_alert } from '../linux/kernel/printk/printk.ts'
import { intercept, NR, restore } from './syscall_table.ts'

const NAME = 'edu'
const FILE = 'edu.c'
const OWN = { module: NAME } as const

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)

/** fork() as every process makes it now. */
const edu_fork = kfunc(
  FILE,
  function* edu_fork(k, regs: pt_regs): Generator<unknown, number> {
    const me = self(k)
    const { pid } = k.current
    pr_alert(k, `[edu]   fork syscall intercepted from ${pid}`)
    if (pid === me.int('pid')) {
      pr_alert(k, `[edu]   fork denied to ${pid}`)
      return -EPERM
    }
    return yield* call_original(k, me.word('original_fork'), regs)
  },
  OWN,
)

const edu_init = kfunc(
  FILE,
  function edu_init(k): number {
    pr_alert(k, '[edu]   Module successfully loaded')
    // no newline: the next line is a record of its own where the log has records
    _printk(k, KERN_ALERT, '[edu]   Intercepting fork() syscall... ')
    intercept(k, self(k), 'original_fork', NR(k, 'fork'), edu_fork)
    // a slash, not a backslash: as the source has it
    _printk(k, KERN_ALERT, 'done/n')
    pr_alert(k, '[edu]   Starting Loging system calls')
    return 0
  },
  OWN,
)

const edu_exit = kfunc(
  FILE,
  function edu_exit(k): void {
    restore(k, self(k), 'original_fork', NR(k, 'fork'))
    pr_alert(k, '[edu]   Stopping loging system calls')
  },
  OWN,
)

export const edu = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'logs fork(2), and refuses it to one process',
  params: [{ name: 'pid', type: 'int', description: 'The PID to which we deny fork()' }],
  imports: ['_printk', 'sys_call_table', 'param_ops_int'],
  functions: [edu_fork],
  variables: [{ name: 'original_fork', size: 8 }],
  init: edu_init,
  exit: edu_exit,
})
