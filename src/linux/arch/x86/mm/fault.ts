/**
 * Page faults the kernel takes itself: stores that page tables forbid, code that is not there any more. Each is an oops
 * in the log; then the task dies, or the machine stops.
 *
 * @see arch/x86/mm/fault.c
 */

import { hex, toAddr, toVa, type Va } from '../../../../base/addr.ts'
import { CoredrillError } from '../../../../base/errors.ts'
import { PAGE_SIZE, PTE_PFN_MASK, _PAGE_PRESENT, _PAGE_PSE, _PAGE_RW } from '../../../../abi/page.ts'
import { KERN_DEFAULT } from '../../../../abi/printk.ts'
import type { StructRef } from '../../../../btf/ref.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { pr_alert, pr_info, printk } from '../../../kernel/printk/printk.ts'
import { task_stack_page } from '../../../kernel/sched/core.ts'
import { __va, max_low_pfn } from '../../../mm/page_alloc.ts'
import { since } from '../../../version.ts'
import { read_cr0, X86_CR0_WP } from '../kernel/cpu/common.ts'
import { oops_begin, oops_end, __die, type Oops } from '../kernel/oops.ts'
import { KERNEL_DS_32, read_cr3, sprint_symbol } from '../kernel/dumpstack.ts'
import { task_pt_regs, write_frames } from '../kernel/stack.ts'
import { returnAddress } from '../kernel/text.ts'
import { lookup_address } from './pageattr.ts'

/** Bits of the error code. @see arch/x86/include/asm/trap_pf.h */
export const X86_PF_PROT = 1
export const X86_PF_WRITE = 2
export const X86_PF_INSTR = 16

const FILE = 'arch/x86/mm/fault.c'

/**
 * The kernel did what its page tables forbid. The oops is in the log by now; what is left is that its stack is unwound,
 * and the task dies.
 */
export class KernelPageFault extends CoredrillError {
  readonly address: Va
  readonly errorCode: number
  constructor(k: Kernel, address: Va, errorCode: number) {
    const what =
      (errorCode & X86_PF_INSTR) !== 0
        ? 'fetch of an instruction'
        : (errorCode & X86_PF_WRITE) !== 0
          ? 'store'
          : 'load'
    const why = (errorCode & X86_PF_PROT) !== 0 ? 'the page is protected' : 'nothing is mapped there'
    const where = hex(BigInt.asUintN(k.mem.wordSize * 8, BigInt(address)))
    super('FAULT', `page fault in the kernel (process ${k.current.pid}): ${what} at ${where}: ${why}`)
    this.address = address
    this.errorCode = errorCode
  }
}

/**
 * A word stored as a processor stores it: page tables are asked, and heeded while CR0.WP is set. For code that may
 * not be trusted to know where it stores: modules.
 * @throws KernelPageFault
 */
export function store_word(k: Kernel, at: Va, value: bigint): void {
  const leaf = lookup_address(k, at)
  if (leaf === undefined) return accessFault(k, at, X86_PF_WRITE)
  if ((leaf.value & _PAGE_RW) === 0n && (read_cr0(k) & X86_CR0_WP) !== 0n)
    return accessFault(k, at, X86_PF_WRITE | X86_PF_PROT)
  k.mem.setWord(at, value)
}

/** A word loaded as a processor loads it. @throws KernelPageFault */
export function load_word(k: Kernel, at: Va): bigint {
  if (lookup_address(k, at) === undefined) accessFault(k, at, 0)
  return k.mem.word(at)
}

/** An instruction of the running function did it. */
function accessFault(k: Kernel, at: Va, errorCode: number): never {
  const own = k.thread.frames.at(-1)
  const ip = own === undefined ? 0n : returnAddress(k, own, { ...own, name: 'page fault' })
  return page_fault(k, { address: at, errorCode, ip })
}

/**
 * A call through a pointer to where no code is. The return address has been pushed; the instruction cannot be fetched.
 * @throws KernelPageFault
 */
export function call_bad_address(k: Kernel, pointer: bigint): never {
  const own = k.thread.frames.at(-1)
  const pushed = own === undefined ? 0n : returnAddress(k, own, { ...own, name: 'indirect call' })
  const address = toVa(pointer, k.mem.wordSize)
  return page_fault(k, { address, errorCode: X86_PF_INSTR, ip: pointer, pushed })
}

/** A function returns to where its caller's code was. @throws KernelPageFault */
export function return_to_bad_address(k: Kernel, ip: bigint): never {
  return page_fault(k, { address: toVa(ip, k.mem.wordSize), errorCode: X86_PF_INSTR, ip })
}

interface Fault {
  readonly address: Va
  readonly errorCode: number
  /** the instruction */
  readonly ip: bigint
  /** what a call has pushed already */
  readonly pushed?: bigint
}

/** Bytes of `struct pt_regs` that an exception in the kernel does not push: i386 stays on its stack. */
const NOT_PUSHED_32 = 8

/** The processor pushes what it interrupts, and the handler runs on the same stack. */
function page_fault(k: Kernel, fault: Fault): never {
  const { thread } = k
  const { wordSize } = k.mem
  const saved = thread.sp
  const bp = write_frames(k, thread)
  if (fault.pushed !== undefined) {
    thread.sp -= wordSize
    k.mem.setWord(thread.sp, fault.pushed)
  }
  const sp = thread.sp
  const size = k.types.sizeof('pt_regs')
  const at = wordSize === 8 ? Math.floor(sp / 16) * 16 - size : sp - size + NOT_PUSHED_32
  const regs = k.types.ref<'pt_regs'>('pt_regs', k.mem, at) as unknown as StructRef
  saveRegisters(k, regs, fault, sp, bp)
  thread.sp = at
  try {
    asm_exc_page_fault(k, { regs, sp, bp, address: fault.address, errorCode: fault.errorCode })
  } finally {
    thread.sp = saved
  }
  throw new KernelPageFault(k, fault.address, fault.errorCode)
}

/**
 * @remarks the entry has cleared all registers on x86-64, and left the program's on i386: what the interrupted code did
 * with them since is not known, but for the function it calls and where its arguments are.
 */
function saveRegisters(k: Kernel, regs: StructRef, { ip, address, pushed }: Fault, sp: Va, bp: Va): void {
  const user = k.ref('pt_regs', task_pt_regs(k, task_stack_page(k, k.current))) as unknown as StructRef
  const names = k.mem.wordSize === 8 ? REGISTERS_64 : REGISTERS_32
  for (const name of names) {
    const value = k.mem.wordSize === 8 || k.current.mm === null ? 0n : user.$int(name)
    regs.$set(name, value)
  }
  regs.$set('ip', ip)
  regs.$set('flags', EFLAGS)
  regs.$set('orig_ax', BigInt.asUintN(k.mem.wordSize * 8, -1n))
  if (k.profile.unwinder === 'fp') regs.$set('bp', toAddr(bp))
  if (k.mem.wordSize === 8) {
    if (pushed !== undefined) regs.$set('ax', BigInt.asUintN(64, BigInt(address)))
    if (k.current.mm !== null) regs.$set('di', user.$addr)
    regs.$set('cs', 0x10n)
    regs.$set('ss', 0x18n)
    regs.$set('sp', toAddr(sp))
    return
  }
  if (k.current.mm !== null) regs.$set('ax', user.$int('orig_ax'))
  for (const [name, value] of Object.entries(SEGMENTS_32)) regs.$set(name, value)
}
const REGISTERS_64 = [
  ...['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'r8', 'r9'],
  ...['r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
]
const REGISTERS_32 = ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp']
/** RF, which faults set so that the instruction can be begun again; IF, ZF, PF. */
const EFLAGS = 0x10246n
const SEGMENTS_32 = { cs: 0x60, ds: 0x7b, es: 0x7b, fs: 0xd8, gs: 0xe0 } as const
export { KERNEL_DS_32 }

/** @see arch/x86/include/asm/idtentry.h:DECLARE_IDTENTRY_RAW_ERRORCODE */
const asm_exc_page_fault = kfunc(
  'arch/x86/entry/entry_64.S',
  function asm_exc_page_fault(k, oops: Oops): void {
    exc_page_fault(k, oops)
  },
  { asm: true },
)

/** @see arch/x86/mm/fault.c:exc_page_fault */
const exc_page_fault = kfunc(FILE, function exc_page_fault(k, oops: Oops): void {
  page_fault_oops(k, oops)
})

/**
 * Nothing can be done about it.
 * @see arch/x86/mm/fault.c:page_fault_oops
 */
const page_fault_oops = kfunc(
  FILE,
  function page_fault_oops(k, oops: Oops): void {
    oops_begin(k)
    show_fault_oops(k, oops)
    __die(k, 'Oops', oops)
    printk(k, KERN_DEFAULT, `CR2: ${BigInt.asUintN(k.mem.wordSize * 8, BigInt(oops.address)).toString(16).padStart(16, '0')}`) // prettier-ignore
    oops_end(k, oops)
  },
  { locals: 80 },
)

/** @see arch/x86/mm/fault.c:show_fault_oops */
function show_fault_oops(k: Kernel, { regs, address, errorCode }: Oops): void {
  const at = BigInt.asUintN(k.mem.wordSize * 8, BigInt(address))
  const padded = at.toString(16).padStart(k.mem.wordSize * 2, '0')
  const isNull = at < BigInt(PAGE_SIZE)
  const walk = dump_pagetable(k, address)
  if (since(k, 5, 1)) {
    if (isNull) pr_alert(k, `BUG: kernel NULL pointer dereference, address: ${padded}`)
    else pr_alert(k, `BUG: unable to handle page fault for address: ${padded}`)
    const what =
      (errorCode & X86_PF_INSTR) !== 0
        ? 'instruction fetch'
        : (errorCode & X86_PF_WRITE) !== 0
          ? 'write access'
          : 'read access'
    pr_alert(k, `#PF: supervisor ${what} in kernel mode`)
    const why = (errorCode & X86_PF_PROT) !== 0 ? 'permissions violation' : 'not-present page'
    pr_alert(k, `#PF: error_code(0x${errorCode.toString(16).padStart(4, '0')}) - ${why}`)
    pr_info(k, walk)
    return
  }
  const what = isNull ? 'NULL pointer dereference' : 'paging request'
  const ip = regs.$int('ip')
  const eip = ip.toString(16).padStart(8, '0')
  if (since(k, 3, 0)) {
    pr_alert(k, `BUG: unable to handle kernel ${what} at ${padded}`)
    pr_alert(k, `IP: [<${eip}>] ${sprint_symbol(k, ip) ?? `0x${(ip - 1n).toString(16)}`}`)
    pr_alert(k, walk)
  } else {
    pr_alert(k, `BUG: unable to handle kernel ${what} at virtual address ${padded}`)
    pr_alert(k, `printing eip: ${eip} ${walk}`)
  }
}

/** What the tables of each kind are called, top first: the folded level of x86-64 shows the entry above it again. */
const LEVELS = {
  64: { names: ['PGD', 'P4D', 'PUD', 'PMD', 'PTE'], shifts: [39, 39, 30, 21, 12], bits: 9, bytes: 8 },
  pae: { names: ['*pdpt =', '*pde =', '*pte ='], shifts: [30, 21, 12], bits: 9, bytes: 8 },
  32: { names: ['*pde =', '*pte ='], shifts: [22, 12], bits: 10, bytes: 4 },
} as const

/**
 * The way through the page tables as far as it goes: `PGD 2a0f067 P4D 2a0f067 PUD 2a11067 PMD 105c3b067 PTE 0`.
 * @see arch/x86/mm/fault.c:dump_pagetable
 */
function dump_pagetable(k: Kernel, va: Va): string {
  const { names, shifts, bits, bytes } = LEVELS[k.mem.wordSize === 8 ? 64 : k.profile.pae ? 'pae' : 32]
  const address = BigInt.asUintN(k.mem.wordSize === 8 ? 48 : 32, BigInt(va))
  let table = __va(k, Number(read_cr3(k)))
  const words: string[] = []
  for (const [level, name] of names.entries()) {
    const shift = shifts[level] as number
    const at = table + Number((address >> BigInt(shift)) & BigInt((1 << bits) - 1)) * bytes
    const value = bytes === 8 ? k.mem.u64(at) : BigInt(k.mem.u32(at))
    const digits = value.toString(16)
    words.push(`${name} ${k.mem.wordSize === 8 ? digits : digits.padStart(bytes * 2, '0')}`)
    // the top level of five is there whatever its entry says, when it is folded
    if (shifts[level + 1] === shift) continue
    if ((value & _PAGE_PRESENT) === 0n || (level > 0 && (value & _PAGE_PSE) !== 0n)) break
    const phys = Number(value & PTE_PFN_MASK)
    if (phys / PAGE_SIZE >= max_low_pfn(k)) break
    table = __va(k, phys)
  }
  // only the last word of a walk to the end has no space behind it
  return words.join(' ') + (words.length === 5 ? '' : ' ')
}
