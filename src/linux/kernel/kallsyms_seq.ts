/**
 * /proc/kallsyms: every symbol of the kernel, from the compressed tables in memory, then those of modules.
 *
 * @see kernel/kallsyms.c:s_show, kernel/module/kallsyms.c:module_get_kallsym
 */

import { toVa, type Va } from '../../base/addr.ts'
import type { file, inode, seq_file } from '../../btf/vmlinux.ts'
import { CAP_SYSLOG } from '../../abi/capability.ts'
import { MODULE_STATE_UNFORMED } from '../../abi/module.ts'
import { Kallsyms } from '../../symbols/kallsyms.ts'
import { list_for_each_entry } from '../../structures/list.ts'
import { deref } from '../deref.ts'
import { proc_create_data } from '../fs/proc/generic.ts'
import { seq_open, seq_printf, seq_release, seqOperations, seqProcOps } from '../fs/seq_file.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { security_capable } from '../security/security/task.ts'

const FILE = 'kernel/kallsyms.c'

interface Line {
  readonly va: Va
  readonly type: string
  readonly name: string
  readonly module: string | undefined
}
/** What a reader iterates over: taken once, when it begins. */
const lines = perKernel(() => new Map<Va, readonly Line[]>())

/** @see kernel/kallsyms.c:kallsyms_show_value @remarks before 4.15 addresses were everybody's to see */
export function kallsyms_show_value(k: Kernel): boolean {
  const [major = 0, minor = 0] = k.profile.release.split('.').map(Number)
  if (major < 4 || (major === 4 && minor < 15)) return true
  const cred = deref(k.current.cred)
  return security_capable(k, cred, cred.user_ns, CAP_SYSLOG) === 0
}

function kernelTable(k: Kernel): Kallsyms {
  const at = (name: string): Va => toVa(k.sym(name), k.mem.wordSize)
  const have = (name: string): Va | undefined => (k.symbols.has(name) ? at(name) : undefined)
  const tables = {
    names: at('kallsyms_names'),
    numSyms: at('kallsyms_num_syms'),
    tokenTable: at('kallsyms_token_table'),
    tokenIndex: at('kallsyms_token_index'),
    offsets: have('kallsyms_offsets'),
    relativeBase: have('kallsyms_relative_base'),
    addresses: have('kallsyms_addresses'),
  }
  return new Kallsyms(k.mem, tables, at('_stext'))
}

function* moduleLines(k: Kernel): Generator<Line> {
  const head = toVa(k.sym('modules'), k.mem.wordSize)
  for (const mod of list_for_each_entry(k.types, k.mem, head, 'module', 'list')) {
    const table = mod.kallsyms
    if (mod.state === MODULE_STATE_UNFORMED || table === null) continue
    const symtab = toVa(table.$int('symtab'), k.mem.wordSize)
    const strtab = toVa(table.strtab, k.mem.wordSize)
    const typetab = toVa(table.typetab, k.mem.wordSize)
    const wide = k.mem.wordSize === 8
    for (let i = 1; i < table.num_symtab; i++) {
      const entry = symtab + i * (wide ? 24 : 16)
      yield {
        va: toVa(k.mem.word(entry + (wide ? 8 : 4)), k.mem.wordSize),
        type: String.fromCharCode(k.mem.u8(typetab + i)),
        name: cString(k, strtab + k.mem.u32(entry)),
        module: mod.name.$string(),
      }
    }
  }
}

function cString(k: Kernel, at: Va): string {
  let text = ''
  for (let c = k.mem.u8(at); c !== 0 && text.length < 512; c = k.mem.u8(at + text.length))
    text += String.fromCharCode(c)
  return text
}

function linesOf(k: Kernel, m: seq_file): readonly Line[] {
  let all = lines(k).get(m.$va)
  if (all === undefined) {
    const own = [...kernelTable(k).entries()].map(({ type, name, va }) => ({
      type,
      name,
      va,
      module: undefined,
    }))
    all = [...own, ...moduleLines(k)]
    lines(k).set(m.$va, all)
  }
  return all
}

const at = (k: Kernel, m: seq_file, index: bigint): bigint =>
  index < BigInt(linesOf(k, m).length) ? index + 1n : 0n

const s_start = kfunc(FILE, function s_start(k, m: seq_file, pos: bigint): bigint {
  return at(k, m, pos)
})
const s_next = kfunc(FILE, function s_next(k, m: seq_file, _v: bigint): bigint {
  m.index = m.index + 1n
  return at(k, m, m.index)
})
const s_stop = kfunc(FILE, function s_stop(_k, _m: seq_file, _v: bigint): void {
  // nothing is held
})
const s_show = kfunc(FILE, function s_show(k, m: seq_file, v: bigint): number {
  const line = linesOf(k, m)[Number(v) - 1]
  if (line === undefined || line.name === '') return 0
  const value = m.private === 0n ? 0n : BigInt.asUintN(k.mem.wordSize * 8, BigInt(line.va))
  const address = value.toString(16).padStart(k.mem.wordSize * 2, '0')
  const module = line.module === undefined ? '' : `\t[${line.module}]`
  seq_printf(k, m, `${address} ${line.type} ${line.name}${module}\n`)
  return 0
})

const kallsyms_open = kfunc(FILE, function kallsyms_open(k, _inode: inode, file: file): number {
  const result = seq_open(k, file, k.global('kallsyms_op', 'seq_operations'))
  const m = k.ref('seq_file', file.private_data)
  m.private = kallsyms_show_value(k) ? 1n : 0n
  lines(k).delete(m.$va)
  return result
})

/** @see kernel/kallsyms.c:kallsyms_init */
export function kallsyms_init(k: Kernel): void {
  seqOperations(k, k.global('kallsyms_op', 'seq_operations'), s_start, s_next, s_stop, s_show)
  const ops = seqProcOps(k, 'kallsyms_proc_ops', kallsyms_open, seq_release)
  proc_create_data(k, 'kallsyms', 0o444, null, ops)
}
