/**
 * What an oops says of the processor and its stack: registers, code, call trace. Every line is read back from memory:
 * from the registers the fault has pushed, and from the words of the stack above them.
 *
 * @see arch/x86/kernel/dumpstack.c, arch/x86/kernel/process_64.c:__show_regs, arch/x86/kernel/process_32.c
 */

import { toAddr, toVa, type Va } from '../../../../base/addr.ts'
import type { StructRef } from '../../../../btf/ref.ts'
import { kernelFunctions } from '../../../kfunc.ts'
import type { Kernel } from '../../../kernel.ts'
import { loadedModules } from '../../../kernel/module/api.ts'
import { KERN_DEFAULT } from '../../../../abi/printk.ts'
import { print_tainted } from '../../../kernel/panic.ts'
import { printk } from '../../../kernel/printk/printk.ts'
import { task_stack_page } from '../../../kernel/sched/core.ts'
import { since } from '../../../version.ts'
import { read_cr0 } from './cpu/common.ts'
import { task_pt_regs, task_top_of_stack } from './stack.ts'
import { functionSize } from './text.ts'

const say = (k: Kernel, text: string): void => printk(k, KERN_DEFAULT, text)

/** PSE|PAE|MCE|PGE|OSFXSR|OSXMMEXCPT: what every processor of that time has. */
const CR4 = 0x6f0n

/** What the processor has in registers that are nobody's. */
export interface ControlRegisters {
  cr2: bigint
}

const wide = (k: Kernel, value: bigint): string =>
  BigInt.asUintN(k.mem.wordSize * 8, value)
    .toString(16)
    .padStart(k.mem.wordSize * 2, '0')
const short = (value: bigint | number): string => value.toString(16).padStart(4, '0')

/** A function and how far into it: `do_syscall_64+0x5d/0xb0`, `logged_open+0x3f/0x80 [open_logger]`. */
export function sprint_symbol(k: Kernel, address: bigint): string | undefined {
  const found = functionAt(k, address)
  if (found === undefined) return undefined
  const { name, module, offset, size } = found
  const own = module === undefined ? '' : ` [${module}]`
  return `${name}+0x${offset.toString(16)}/0x${size.toString(16)}${own}`
}

interface Place {
  readonly name: string
  readonly module: string | undefined
  readonly offset: number
  readonly size: number
}

/** The function of the kernel or of a loaded module around an address. @see kernel/kallsyms.c:kallsyms_lookup */
function functionAt(k: Kernel, address: bigint): Place | undefined {
  const va = toVa(address, k.mem.wordSize)
  let best: { info: (typeof kernelFunctions)[number]['kfunc']; start: Va } | undefined
  for (const { kfunc: info } of kernelFunctions) {
    const text = k.textIfAny(info)
    if (text === undefined) continue
    const start = toVa(text, k.mem.wordSize)
    if (start <= va && (best === undefined || start > best.start)) best = { info, start }
  }
  if (best === undefined) return undefined
  const size = functionSize(k, best.start)
  if (va >= best.start + size) return undefined
  const module = best.info.module
  if (module !== undefined && !loadedModules(k).has(module)) return undefined
  return { name: k.named(best.info).name, module, offset: va - best.start, size }
}

/** `function+0x3f/0x60`, or the bare address where no function is: one less when a call returns there. */
const symbolOr = (k: Kernel, address: bigint, back = 0n): string =>
  sprint_symbol(k, address) ?? `0x${wide(k, address - back).replace(/^0+(?=.)/, '')}`

/** @see kernel/module/main.c:print_modules */
export function print_modules(k: Kernel, flagsOf: (name: string) => string): void {
  // the newest is first in the list
  const names = [...loadedModules(k).keys()].reverse().map((name) => ` ${name}${flagsOf(name)}`)
  const last = toVa(k.sym('last_unloaded_module'), k.mem.wordSize)
  const text = (at: Va, size: number): string =>
    Buffer.from(k.mem.read(at, size)).toString('latin1').replace(/\0.*$/s, '')
  const gone = text(last, MODULE_NAME_SIZE)
  const taints = since(k, 6, 0) ? text(last + MODULE_NAME_SIZE, 24) : ''
  const end = gone === '' || !since(k, 2, 6, 25) ? '' : ` [last unloaded: ${gone}${taints}]`
  say(k, `Modules linked in:${names.join('')}${end}`)
}
/** Bytes of `last_unloaded_module.name`. */
const MODULE_NAME_SIZE = 56

/** `CPU: 0 PID: 510 Comm: opentest Tainted: G …` @see lib/dump_stack.c:dump_stack_print_info */
export function dump_stack_print_info(k: Kernel): void {
  const { release, version } = k.profile
  const [build = ''] = version.split(' ')
  // Debian puts its version there
  const id = /Debian \S+/.exec(version)?.[0]
  const comm = k.current.comm.$string()
  const own = `${release} ${build}${id === undefined ? '' : `  ${id}`}`
  if (since(k, 3, 10))
    say(k, `CPU: ${k.cpu.id} PID: ${k.current.pid} Comm: ${comm} ${print_tainted(k)} ${own}`)
  else say(k, `Pid: ${k.current.pid}, comm: ${comm} ${print_tainted(k)} (${own})`)
  const name = k.symbols.get('dump_stack_arch_desc_str')
  if (name === undefined) return
  const text = Buffer.from(k.mem.read(toVa(name, k.mem.wordSize), 128)).toString('latin1')
  if (!text.startsWith('\0')) say(k, `Hardware name: ${text.replace(/\0.*$/s, '')}`)
}

/** How many bytes of code are shown, and how many of them before the instruction. */
const CODE_BYTES = 64
const CODE_PROLOGUE = 42

/** The bytes around the instruction; a fault of its own, that goes into CR2, when they cannot be read. */
export function show_opcodes(k: Kernel, ip: bigint, cr: ControlRegisters = { cr2: 0n }): void {
  const from = ip - BigInt(CODE_PROLOGUE)
  const va = toVa(from, k.mem.wordSize)
  if (!k.mem.isMapped(va) || !k.mem.isMapped(va + CODE_BYTES - 1)) {
    if (!since(k, 4, 18)) {
      say(k, 'Code:  Bad EIP value.')
      return
    }
    cr.cr2 = BigInt.asUintN(k.mem.wordSize * 8, from)
    const at = since(k, 6, 0) ? '' : 'RIP '
    say(k, `Code: Unable to access opcode bytes at ${at}0x${cr.cr2.toString(16)}.`)
    return
  }
  const bytes = [...k.mem.read(va, CODE_BYTES)].map((b) => b.toString(16).padStart(2, '0'))
  bytes[CODE_PROLOGUE] = `<${bytes[CODE_PROLOGUE] ?? ''}>`
  say(k, `Code: ${bytes.join(' ')}`)
}

const ROWS_64 = [
  ['ax', 'bx', 'cx'],
  ['dx', 'si', 'di'],
  ['bp', 'r8', 'r9'],
  ['r10', 'r11', 'r12'],
  ['r13', 'r14', 'r15'],
] as const
const label = (name: string): string =>
  /^r\d$/.test(name)
    ? `R0${name.slice(1)}`
    : name.startsWith('r')
      ? name.toUpperCase()
      : `R${name.toUpperCase()}`

/**
 * The registers of a 64-bit processor; of a program's only those it can see.
 * @see arch/x86/kernel/process_64.c:__show_regs
 */
export function show_regs_64(k: Kernel, regs: StructRef, cr: ControlRegisters): void {
  const user = (regs.$int('cs') & 3n) !== 0n
  const word = (name: string): string => wide(k, regs.$int(name))
  const ip = regs.$int('ip')
  const at = user ? `0x${ip.toString(16)}` : symbolOr(k, ip)
  say(k, `RIP: ${short(regs.$int('cs') & 0xffffn)}:${at}`)
  show_opcodes(k, ip, cr)
  const orig = BigInt.asIntN(64, regs.$int('orig_ax'))
  const call = orig === -1n ? '' : ` ORIG_RAX: ${word('orig_ax')}`
  const flags = regs.$int('flags').toString(16).padStart(8, '0')
  say(k, `RSP: ${short(regs.$int('ss') & 0xffffn)}:${word('sp')} EFLAGS: ${flags}${call}`)
  for (const row of ROWS_64) say(k, row.map((name) => `${label(name)}: ${word(name)}`).join(' '))
  if (user) return
  const { thread } = k.current
  const gs = toAddr(k.per_cpu_offset())
  say(
    k,
    `FS:  ${wide(k, thread.$int('fsbase'))}(0000) GS:${wide(k, gs)}(0000) knlGS:${wide(k, thread.$int('gsbase'))}`,
  )
  say(k, `CS:  0010 DS: 0000 ES: 0000 CR0: ${wide(k, read_cr0(k))}`)
  say(k, `CR2: ${wide(k, cr.cr2)} CR3: ${wide(k, read_cr3(k))} CR4: ${wide(k, CR4)}`)
}

/** Where the page tables of the running task begin in physical memory. */
export function read_cr3(k: Kernel): bigint {
  const mm = k.current.active_mm
  const pgd = mm?.$int('pgd') ?? k.sym(k.mem.wordSize === 8 ? 'init_top_pgt' : 'swapper_pg_dir')
  return BigInt(k.mem.phys(toVa(pgd, k.mem.wordSize)))
}

/** `EIP: 0060:[<f87d9000>] …` @see arch/x86/kernel/process_32.c:__show_regs */
export function show_regs_32(k: Kernel, regs: StructRef, sp: Va, cr: ControlRegisters): void {
  const word = (name: string): string => wide(k, regs.$int(name))
  const ip = regs.$int('ip')
  const cpu = `CPU: ${k.cpu.id}`
  say(k, `EIP: ${short(regs.$int('cs') & 0xffffn)}:[<${wide(k, ip)}>] EFLAGS: ${word('flags')} ${cpu}`)
  say(k, `EIP is at ${symbolOr(k, ip)}`)
  say(k, `EAX: ${word('ax')} EBX: ${word('bx')} ECX: ${word('cx')} EDX: ${word('dx')}`)
  say(k, `ESI: ${word('si')} EDI: ${word('di')} EBP: ${word('bp')} ESP: ${wide(k, toAddr(sp))}`)
  const segment = (name: string): string => `${name.toUpperCase()}: ${short(regs.$int(name) & 0xffffn)}`
  say(k, ` ${['ds', 'es', 'fs', 'gs'].map(segment).join(' ')} SS: ${short(KERNEL_DS_32)}`)
  if (!since(k, 2, 7)) return
  say(
    k,
    `CR0: ${wide(k, read_cr0(k))} CR2: ${wide(k, cr.cr2)} CR3: ${wide(k, read_cr3(k))} CR4: ${wide(k, CR4)}`,
  )
}
/** The kernel's stack segment. @see arch/x86/include/asm/segment.h:__KERNEL_DS */
export const KERNEL_DS_32 = 0x68

/** Words of the stack on i386, and how many of them a line has. */
const STACK_WORDS = 24
const WORDS_PER_LINE = 8

/** @see arch/x86/kernel/dumpstack_32.c:show_stack_log_lvl */
export function show_stack_32(k: Kernel, sp: Va): void {
  const top = task_top_of_stack(k, task_stack_page(k, k.current))
  const words: string[] = []
  for (let at = sp; at < top && words.length < STACK_WORDS; at += 4) words.push(wide(k, k.mem.word(at)))
  const lines: string[] = []
  for (let i = 0; i < words.length; i += WORDS_PER_LINE)
    lines.push(words.slice(i, i + WORDS_PER_LINE).join(' '))
  if (since(k, 3, 0)) {
    say(k, 'Stack:')
    for (const line of lines) say(k, ` ${line}`)
  } else lines.forEach((line, i) => say(k, `${i === 0 ? 'Stack: ' : '       '}${line}`))
}

const userRegs = (k: Kernel): StructRef => k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current)))

/**
 * Every word of the stack that is an address of code; `?` before those that frames do not lead to.
 *
 * @param from lowest word looked at
 * @param reliable words that are return addresses of active functions, as the unwinder finds them
 * @see arch/x86/kernel/dumpstack.c:show_trace_log_lvl
 */
export function show_trace(k: Kernel, from: Va, reliable: ReadonlySet<Va>): void {
  const { wordSize } = k.mem
  const top = task_top_of_stack(k, task_stack_page(k, k.current))
  say(k, 'Call Trace:')
  const task = since(k, 5, 15)
  if (task) say(k, ' <TASK>')
  for (let at = from; at < top; at += wordSize) {
    const address = k.mem.word(at)
    const name = sprint_symbol(k, address)
    if (name === undefined) continue
    const sure = reliable.has(at)
    if (!since(k, 2, 7)) say(k, ` [<${wide(k, address)}>] ${name}`)
    else if (wordSize === 4) say(k, ` [<${wide(k, address)}>] ${sure ? '' : '? '}${name}`)
    else say(k, ` ${sure ? '' : '? '}${name}`)
  }
  // the unwinder has come as far as what the program had in its registers
  if (task && reliable.size > 0 && k.current.mm !== null) show_regs_64(k, userRegs(k), { cr2: 0n })
  if (task) say(k, ' </TASK>')
  if (!since(k, 2, 7)) say(k, ' =======================')
}
