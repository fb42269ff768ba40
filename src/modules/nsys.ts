/**
 * `nsys`: finds out how long the table of system calls is and which of its entries nobody uses, says so, and refuses to
 * be loaded: a program that runs with all rights from its init function to its end.
 *
 * An entry counts as long as some symbol `sys_*` has its address; entries behind the last such are not seen. Of the 27
 * it finds on a 3.13 without NUMA five are calls left out of that build, not gaps.
 */

import { EFAULT, EPERM } from '../abi/errno.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { kallsyms_lookup_name, kallsyms_on_each_symbol } from '../linux/kernel/kallsyms.ts'
import { defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { pr_err, pr_info } from '../linux/kernel/printk/printk.ts'
import { p } from '../linux/lib/vsprintf.ts'
import { entryOf, NI_SYSCALL, SYS_PREFIX } from './syscall_table.ts'

const NAME = 'nsys'
const FILE = 'nsys.c'
const OWN = { module: NAME } as const
/** More than any table has. */
const SYS_NR_MAX = 450

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)
const LOG = (k: Kernel, text: string): void => pr_info(k, `! ${text}`)
const ERR = (k: Kernel, text: string): void => pr_err(k, `! ${text}`)

/** Called for every symbol: remembers the highest entry a `sys_*` is in. */
const sys_length = kfunc(
  FILE,
  function sys_length(k, sym: string, addr: bigint): number {
    if (!sym.startsWith(SYS_PREFIX(k)) || sym === 'sys_call_table') return 0
    const me = self(k)
    const taddr = me.word('taddr')
    for (let i = 0; i < SYS_NR_MAX; i++) {
      if (entryOf(k, taddr, i) !== addr) continue
      if (i > me.int('nsys')) k.mem.setU32(me.sym('nsys'), i)
      break
    }
    return 0
  },
  OWN,
)

const put_entries = kfunc(
  FILE,
  function put_entries(k): void {
    const me = self(k)
    const unused: number[] = []
    for (let i = 0; i <= me.int('nsys'); i++)
      if (entryOf(k, me.word('taddr'), i) === me.word('niaddr')) unused.push(i)
    const list = unused.map((i) => `${String(i).padStart(3, '0')}, `).join('')
    LOG(k, `found ${unused.length} unused entries: ${list}`)
  },
  OWN,
)

const init_driver = kfunc(
  FILE,
  function init_driver(k): number {
    const me = self(k)
    const taddr = kallsyms_lookup_name(k, 'sys_call_table')
    if (taddr === 0n) {
      ERR(k, 'sys_call_table not found!')
      return -EFAULT
    }
    me.setWord('taddr', taddr)
    LOG(k, `sys_call_table address = ${p(k, taddr)}`)
    const niaddr = kallsyms_lookup_name(k, NI_SYSCALL(k))
    if (niaddr === 0n) {
      ERR(k, 'sys_ni_syscall found!')
      return -EFAULT
    }
    me.setWord('niaddr', niaddr)
    LOG(k, `sys_ni_syscall address = ${p(k, niaddr)}`)
    kallsyms_on_each_symbol(k, (name, _mod, address) => sys_length(k, name, address))
    LOG(k, `sys_call_table length = ${me.int('nsys') + 1}`)
    put_entries(k)
    return -EPERM
  },
  OWN,
)

export const nsys = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'counts system calls, and is not loaded',
  imports: ['_printk', 'kallsyms_lookup_name', 'kallsyms_on_each_symbol', 'strstr', 'strcmp', 'sprintf'],
  functions: [sys_length, put_entries],
  variables: [
    { name: 'taddr', size: 8 },
    { name: 'niaddr', size: 8 },
    { name: 'nsys', size: 4 },
  ],
  init: init_driver,
})
