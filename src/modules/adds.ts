/**
 * `adds`: a system call of one's own, at a number nobody uses. It prints the string it is given. `adds2` is the same
 * source built under another name, for whoever wants to see that the place is taken.
 *
 * It returns how many bytes could *not* be copied, a positive number, where the kernel's calls return -EFAULT; and it
 * does not compare the length with its buffer of 80 bytes: a longer string runs over what lies behind that in .bss.
 */

import { EFAULT, EINVAL } from '../abi/errno.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { kallsyms_lookup_name } from '../linux/kernel/kallsyms.ts'
import {
  defineModule,
  moduleOf,
  store_word,
  syscall_arg,
  type ModuleDefinition,
  type ModuleSelf,
} from '../linux/kernel/module/api.ts'
import { pr_err, pr_info } from '../linux/kernel/printk/printk.ts'
import { copy_from_user } from '../linux/lib/usercopy.ts'
import { cString, p } from '../linux/lib/vsprintf.ts'
import { entryOf, entryVa, NI_SYSCALL, rw_disable, rw_enable } from './syscall_table.ts'

const FILE = 'adds.c'
const BUFFER = 80

/** 223 is free on i386; among the numbers of x86-64 those from 335 to 423 are. */
export const NR_own = (k: Kernel): number => (k.mem.wordSize === 4 ? 223 : 400)

const LOG = (k: Kernel, text: string): void => pr_info(k, `! ${text}`)
const ERR = (k: Kernel, text: string): void => pr_err(k, `! ${text}`)

/** The table's entry, and what it holds. */
const entry = (k: Kernel, self: ModuleSelf): bigint => entryOf(k, self.word('taddr'), NR_own(k))

function setEntry(k: Kernel, self: ModuleSelf, handler: bigint): void {
  rw_enable(k)
  store_word(k, entryVa(k, self.word('taddr'), NR_own(k)), handler)
  rw_disable(k)
}

function declareAdds(name: string): ModuleDefinition {
  const own = { module: name } as const

  /** new_sys_call(buf, count) @returns bytes that could not be copied */
  const new_sys_call = kfunc(
    FILE,
    function new_sys_call(k, regs: pt_regs): number {
      const [buf, count] = [syscall_arg(regs, 0), Number(syscall_arg(regs, 1))]
      const at = moduleOf(k, name).sym('buf_msg')
      const res = copy_from_user(k, at, buf, count)
      k.mem.setU8(at + count, 0)
      LOG(k, `accepted ${count} bytes: ${cString(k, at)}`)
      return res
    },
    own,
  )

  const new_sys_init = kfunc(
    FILE,
    function new_sys_init(k): number {
      const me = moduleOf(k, name)
      const taddr = kallsyms_lookup_name(k, 'sys_call_table')
      if (taddr === 0n) {
        ERR(k, 'sys_call_table not found!')
        return -EFAULT
      }
      me.setWord('taddr', taddr)
      me.setWord('old_sys_addr', entry(k, me))
      const waddr = kallsyms_lookup_name(k, NI_SYSCALL(k))
      if (waddr === 0n) {
        ERR(k, 'sys_ni_syscall not found!')
        return -EFAULT
      }
      LOG(k, `sys_ni_syscall address = ${p(k, waddr)}`)
      if (me.word('old_sys_addr') !== waddr) {
        ERR(k, 'not free slot!')
        return -EINVAL
      }
      LOG(k, `old sys_call_table[${NR_own(k)}] = ${p(k, entry(k, me))}`)
      setEntry(k, me, k.text(new_sys_call))
      LOG(k, `new sys_call_table[${NR_own(k)}] = ${p(k, entry(k, me))}`)
      return 0
    },
    own,
  )

  const new_sys_exit = kfunc(
    FILE,
    function new_sys_exit(k): void {
      const me = moduleOf(k, name)
      setEntry(k, me, me.word('old_sys_addr'))
      LOG(k, `restore sys_call_table[${NR_own(k)}] = ${p(k, entry(k, me))}`)
    },
    own,
  )

  return defineModule({
    name,
    license: 'GPL',
    description: 'a system call of its own',
    imports: ['_printk', 'kallsyms_lookup_name', '_copy_from_user'],
    functions: [new_sys_call],
    coreBytes: 12622,
    variables: [
      { name: 'buf_msg', size: BUFFER },
      { name: 'old_sys_addr', size: 8 },
      { name: 'taddr', size: 8 },
    ],
    init: new_sys_init,
    exit: new_sys_exit,
  })
}

export const adds = declareAdds('adds')
export const adds2 = declareAdds('adds2')
