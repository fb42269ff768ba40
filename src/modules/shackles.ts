/**
 * `shackles pid=PID call=NR`: one process is refused one system call, one of four: fork, open, kill and pipe, by their
 * numbers on this machine. Each has a replacement of its own, as their arguments differ.
 */

import { EINVAL, EPERM } from '../abi/errno.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { call_original, defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { pr_info } from '../linux/kernel/printk/printk.ts'
import { intercept, NR, restore, type Hook } from './syscall_table.ts'

const NAME = 'shackles'
const FILE = 'shackles.c'
const OWN = { module: NAME } as const

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)

/** Refused to the one process, else as it always was. */
function* shackle(k: Kernel, call: string, regs: pt_regs): Generator<unknown, number> {
  const me = self(k)
  const { pid } = k.current
  if (pid !== me.int('pid')) return yield* call_original(k, me.word('original'), regs)
  pr_info(k, `[shackles] ${call} denied to ${pid}`)
  return -EPERM
}

const shackled_fork: Hook = kfunc(
  FILE,
  function* shackled_fork(k, regs: pt_regs): Generator<unknown, number> {
    return yield* shackle(k, 'fork', regs)
  },
  OWN,
)
const shackled_open: Hook = kfunc(
  FILE,
  function* shackled_open(k, regs: pt_regs): Generator<unknown, number> {
    return yield* shackle(k, 'open', regs)
  },
  OWN,
)
const shackled_kill: Hook = kfunc(
  FILE,
  function* shackled_kill(k, regs: pt_regs): Generator<unknown, number> {
    return yield* shackle(k, 'kill', regs)
  },
  OWN,
)
const shackled_pipe: Hook = kfunc(
  FILE,
  function* shackled_pipe(k, regs: pt_regs): Generator<unknown, number> {
    return yield* shackle(k, 'pipe', regs)
  },
  OWN,
)

const HOOKS = { fork: shackled_fork, open: shackled_open, kill: shackled_kill, pipe: shackled_pipe }

const shackles_init = kfunc(
  FILE,
  function shackles_init(k): number {
    const me = self(k)
    const nr = me.int('call')
    const hook = Object.entries(HOOKS).find(([name]) => NR(k, name) === nr)?.[1]
    if (hook === undefined) return -EINVAL
    intercept(k, me, 'original', nr, hook)
    return 0
  },
  OWN,
)

const shackles_exit = kfunc(
  FILE,
  function shackles_exit(k): void {
    const me = self(k)
    restore(k, me, 'original', me.int('call'))
  },
  OWN,
)

export const shackles = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'refuses one system call to one process',
  params: [
    { name: 'pid', type: 'int', description: 'the process' },
    {
      name: 'call',
      type: 'int',
      value: -1,
      description: 'number of the system call: fork, open, kill or pipe',
    },
  ],
  imports: ['_printk', 'sys_call_table', 'param_ops_int'],
  functions: Object.values(HOOKS),
  variables: [{ name: 'original', size: 8 }],
  init: shackles_init,
  exit: shackles_exit,
})
