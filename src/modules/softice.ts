/**
 * `softice [softice=NAME]`: a file of that name cannot be opened, nor made, with open(2): it is as if it were not there.
 *
 * The name is compared with what the program wrote, not with where it leads: `./NAME` opens the file.
 */

import { ENOENT } from '../abi/errno.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { call_original, defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { pr_info } from '../linux/kernel/printk/printk.ts'
import { openName } from './open_name.ts'
import { intercept, NR, restore } from './syscall_table.ts'

const NAME = 'softice'
const FILE = 'softice.c'
const OWN = { module: NAME } as const

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)

const softice_open = kfunc(
  FILE,
  function* softice_open(k, regs: pt_regs): Generator<unknown, number> {
    const me = self(k)
    const name = openName(k, regs, false)
    if (name !== null && name === me.charp('softice')) {
      pr_info(k, `[softice] open of ${name} denied to ${k.current.pid}`)
      return -ENOENT
    }
    return yield* call_original(k, me.word('original_open'), regs)
  },
  OWN,
)

const softice_init = kfunc(
  FILE,
  function softice_init(k): number {
    intercept(k, self(k), 'original_open', NR(k, 'open'), softice_open)
    return 0
  },
  OWN,
)

const softice_exit = kfunc(
  FILE,
  function softice_exit(k): void {
    restore(k, self(k), 'original_open', NR(k, 'open'))
  },
  OWN,
)

export const softice = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'hides one file name from open(2)',
  params: [{ name: 'softice', type: 'charp', value: 'softice', description: 'the name nobody can open' }],
  imports: ['_printk', 'sys_call_table', 'strncpy_from_user', 'strcmp', 'param_ops_charp'],
  functions: [softice_open],
  variables: [{ name: 'original_open', size: 8 }],
  init: softice_init,
  exit: softice_exit,
})
