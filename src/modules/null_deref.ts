/**
 * `null_deref [late=1]`: a module with the commonest mistake: it reads a member through a pointer that was never set. At
 * once, in its init function, or, with `late`, when it is unloaded.
 */

import { pr_info } from '../linux/kernel/printk/printk.ts'
import { kfunc } from '../linux/kfunc.ts'
import type { Kernel } from '../linux/kernel.ts'
import { defineModule, load_word, moduleOf } from '../linux/kernel/module/api.ts'
import { toVa } from '../base/addr.ts'

const NAME = 'null_deref'
const FILE = 'null_deref.c'
const OWN = { module: NAME } as const
/** Of the member in the structure that is not there. */
const MEMBER = 0x18

/** `return conf->limit;` */
const read_limit = kfunc(
  FILE,
  function read_limit(k): bigint {
    const conf = toVa(moduleOf(k, NAME).word('conf'), k.mem.wordSize)
    return load_word(k, conf + MEMBER)
  },
  OWN,
)

const report = (k: Kernel): void => pr_info(k, `null_deref: the limit is ${read_limit(k)}`)

const null_deref_init = kfunc(
  FILE,
  function null_deref_init(k): number {
    if (!moduleOf(k, NAME).bool('late')) report(k)
    return 0
  },
  OWN,
)

const null_deref_exit = kfunc(
  FILE,
  function null_deref_exit(k): void {
    report(k)
  },
  OWN,
)

export const null_deref = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'reads through a pointer that was never set',
  params: [{ name: 'late', type: 'bool', description: 'when it is unloaded, not when it is loaded' }],
  imports: ['_printk', 'param_ops_bool'],
  functions: [read_limit],
  variables: [{ name: 'conf', size: 8 }],
  init: null_deref_init,
  exit: null_deref_exit,
})
