/** /proc/modules: what lsmod reads. @see kernel/module/procfs.c */

import { toVa, type Va } from '../../../base/addr.ts'
import type { file, inode, module, seq_file } from '../../../btf/vmlinux.ts'
import {
  MODULE_REF_BASE,
  MODULE_STATE_COMING,
  MODULE_STATE_GOING,
  MODULE_STATE_UNFORMED,
} from '../../../abi/module.ts'
import { list_for_each_entry } from '../../../structures/list.ts'
import { proc_create_data } from '../../fs/proc/generic.ts'
import {
  seq_open,
  seq_printf,
  seq_release,
  SEQ_SKIP,
  seqElement,
  seqOperations,
  seqProcOps,
} from '../../fs/seq_file.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { kallsyms_show_value } from '../kallsyms_seq.ts'
import { module_flags } from './main.ts'

const FILE = 'kernel/module/procfs.c'

const head = (k: Kernel): Va => toVa(k.sym('modules'), k.mem.wordSize)

/** The module at a position of the list; 0 behind its end. @see fs/seq_file.c:seq_list_start */
function at(k: Kernel, pos: bigint): bigint {
  let left = pos
  for (let node = k.mem.pointer(head(k)); node !== head(k); node = k.mem.pointer(node), left--)
    if (left === 0n) return seqElement(node)
  return 0n
}

const m_start = kfunc(FILE, function m_start(k, _m: seq_file, pos: bigint): bigint {
  return at(k, pos)
})
const m_next = kfunc(FILE, function m_next(k, m: seq_file, v: bigint): bigint {
  m.index = m.index + 1n
  const next = k.mem.pointer(toVa(v, k.mem.wordSize))
  return next === head(k) ? 0n : seqElement(next)
})
const m_stop = kfunc(FILE, function m_stop(_k, _m: seq_file, _v: bigint): void {
  // module_mutex is not simulated
})

/** Who uses it, and how often it is used. @see kernel/module/procfs.c:print_unload_info */
function unloadInfo(k: Kernel, mod: module): string {
  const users = [
    ...list_for_each_entry(k.types, k.mem, mod.source_list.$va, 'module_use', 'source_list'),
  ].map(({ source }) => `${source?.name.$string() ?? '?'},`)
  if (mod.init !== 0n && mod.exit === 0n) users.push('[permanent],')
  return ` ${mod.refcnt.counter - MODULE_REF_BASE} ${users.length === 0 ? '-' : users.join('')}`
}

const m_show = kfunc(FILE, function m_show(k, m: seq_file, v: bigint): number {
  const mod = k.ref('module', toVa(v, k.mem.wordSize) - k.types.offsetof('module', 'list'))
  if (mod.state === MODULE_STATE_UNFORMED) return SEQ_SKIP
  const size = mod.init_layout.size + mod.core_layout.size
  const state =
    mod.state === MODULE_STATE_GOING ? 'Unloading' : mod.state === MODULE_STATE_COMING ? 'Loading' : 'Live'
  const base = m.private === 0n ? 0n : BigInt.asUintN(k.mem.wordSize * 8, mod.core_layout.base)
  const address = `0x${base.toString(16).padStart(k.mem.wordSize * 2, '0')}`
  const flags = module_flags(k, mod)
  const taints = flags === '' ? '' : ` ${flags}`
  seq_printf(k, m, `${mod.name.$string()} ${size}${unloadInfo(k, mod)} ${state} ${address}${taints}\n`)
  return 0
})

const modules_open = kfunc(FILE, function modules_open(k, _inode: inode, file: file): number {
  const result = seq_open(k, file, k.global('modules_op', 'seq_operations'))
  k.ref('seq_file', file.private_data).private = kallsyms_show_value(k) ? 8n : 0n
  return result
})

/** @see kernel/module/procfs.c:proc_modules_init */
export function proc_modules_init(k: Kernel): void {
  seqOperations(k, k.global('modules_op', 'seq_operations'), m_start, m_next, m_stop, m_show)
  const ops = seqProcOps(k, 'modules_proc_ops', modules_open, seq_release)
  proc_create_data(k, 'modules', 0o444, null, ops)
}
