/** A machine with log, security modules and module loader up, whether boot brings them up by itself or not. */

import { toVa } from '../../src/base/addr.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { init_modules } from '../../src/linux/kernel/module/main.ts'
import { init_printk_statics } from '../../src/linux/kernel/printk/printk.ts'
import { security_init } from '../../src/linux/security/security.ts'
import type { BootOptions } from '../../src/linux/boot.ts'
import { bootedMachine } from './machine.ts'

export function layeredMachine(options: Partial<BootOptions> = {}): Kernel {
  const k = bootedMachine(options)
  const empty = (symbol: string): boolean => k.mem.pointer(toVa(k.sym(symbol))) === 0
  if (empty('prb')) init_printk_statics(k)
  const init = k.global('init_task', 'task_struct')
  if (init.cred === null) init.cred = k.global('init_cred', 'cred')
  if (empty('lsm_names')) security_init(k)
  if (empty('modules')) init_modules(k)
  return k
}
