/** Register sets: `struct pt_regs` on a stack, and the ones a dump's notes hold for each CPU. */

import type { Va } from '../base/addr.ts'
import { toVa } from '../base/addr.ts'
import type { Memory } from '../memory/memory.ts'
import type { Kernel } from './kernel.ts'
import type { Stack } from './stack.ts'

/** x86-64 names as crash prints them; i386's 32-bit names share the places. */
export interface Registers {
  readonly rip: bigint
  readonly rsp: bigint
  readonly rflags: bigint
  readonly rax: bigint
  readonly rbx: bigint
  readonly rcx: bigint
  readonly rdx: bigint
  readonly rsi: bigint
  readonly rdi: bigint
  readonly rbp: bigint
  readonly r8: bigint
  readonly r9: bigint
  readonly r10: bigint
  readonly r11: bigint
  readonly r12: bigint
  readonly r13: bigint
  readonly r14: bigint
  readonly r15: bigint
  /** undefined in a note */
  readonly orig_rax: bigint | undefined
  readonly cs: bigint
  readonly ss: bigint
  /** of i386 only */
  readonly ds?: bigint
  readonly es?: bigint
  readonly gs?: bigint
}

type Segment = 'ds' | 'es' | 'gs'
const SEGMENTS: readonly Segment[] = ['ds', 'es', 'gs']

/** Of `struct pt_regs`, by our names. */
const MEMBERS: Readonly<Record<Exclude<keyof Registers, Segment>, string>> = {
  rip: 'ip',
  rsp: 'sp',
  rflags: 'flags',
  rax: 'ax',
  rbx: 'bx',
  rcx: 'cx',
  rdx: 'dx',
  rsi: 'si',
  rdi: 'di',
  rbp: 'bp',
  r8: 'r8',
  r9: 'r9',
  r10: 'r10',
  r11: 'r11',
  r12: 'r12',
  r13: 'r13',
  r14: 'r14',
  r15: 'r15',
  orig_rax: 'orig_ax',
  cs: 'cs',
  ss: 'ss',
}

/** Read a `struct pt_regs` out of a copied stack, or, outside of it, out of memory. @throws FaultError */
export function read_pt_regs(kernel: Kernel, at: Va, stack?: Stack): Registers {
  const { types, mem } = kernel
  const size = types.sizeof('pt_regs')
  const inside = stack !== undefined && at >= stack.base && at + size <= stack.top
  const word = (offset: number): bigint => (inside ? stack.word(at + offset) : mem.word(at + offset))
  const segments = SEGMENTS.filter((name) => types.has('pt_regs', name)).map((name) => [name, name])
  const members = [...Object.entries(MEMBERS), ...segments] as [keyof Registers, string][]
  const values = members.map(([ours, theirs]) => {
    if (!types.has('pt_regs', theirs)) return [ours, 0n]
    const place = types.place('pt_regs', theirs)
    const value = word(place.bitOffset >>> 3)
    return [ours, types.sizeof(place.type) === 2 ? value & 0xffffn : value]
  })
  return Object.fromEntries(values) as Registers
}

/** What a dump's notes say of the CPUs. */
export interface CpuNotes {
  /** registers by CPU, as the notes come */
  readonly registers: readonly Registers[]
  /** QEMU wrote them: one for every CPU, also for those the kernel had stopped */
  readonly qemu: boolean
}

interface NoteLike {
  readonly name: string
  readonly type: number
  readonly desc: Uint8Array
}

const NT_PRSTATUS = 1
/** Of `struct elf_prstatus` on x86-64: `pr_reg`, then 27 words in the order of `struct user_regs_struct`. */
const PR_REG = 112
const USER_REGS: readonly (keyof Registers | '')[] = [
  ...(['r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx'] as const),
  ...(['rdx', 'rsi', 'rdi', '', 'rip', 'cs', 'rflags', 'rsp', 'ss'] as const),
]

/** The NT_PRSTATUS notes of a 64-bit core. */
export function cpu_notes(notes: readonly NoteLike[]): CpuNotes {
  const registers: Registers[] = []
  for (const { name, type, desc } of notes) {
    if (type !== NT_PRSTATUS || name !== 'CORE' || desc.length < PR_REG + USER_REGS.length * 8) continue
    const view = new DataView(desc.buffer, desc.byteOffset, desc.byteLength)
    const named = USER_REGS.map((reg, i) => [reg, view.getBigUint64(PR_REG + i * 8, true)])
    registers.push(
      Object.fromEntries([...named, ['orig_rax', undefined]].filter(([reg]) => reg !== '')) as Registers,
    )
  }
  return { registers, qemu: notes.some((n) => n.name === 'QEMU') }
}

/** Did the CPU come from user mode? */
export const user_mode = (regs: Registers): boolean => (regs.cs & 3n) !== 0n

/** RAZ bits of RFLAGS, and the one that is always set. */
const RFLAGS_ZERO = 0xffff_ffff_ffc0_8028n
const RFLAGS_ONE = 2n
const KERNEL_CS = 0x10n
const KERNEL_SS = 0x18n
/** Of i386: the kernel's code, and data as everybody has it. */
const KERNEL_CS_32 = 0x60n
const DS_32 = 0x7bn
/** What an exception in the kernel of i386 leaves out, as it stays on its stack: the pointer to it, and its segment. */
export const NOT_PUSHED_32 = 8
const USER_CS = 0x33n
const USER32_CS = 0x23n
const USER_DS = 0x2bn
/** Above it no user address lies (five-level tables included). */
const USER_MAX = 2n ** 56n

/** What {@link plausible_regs} asks about addresses. */
export interface FrameCheck {
  readonly isText: (va: Va) => boolean
  readonly inExceptionStack: boolean
  readonly mem: Memory
}

/**
 * Do these words look like registers that an exception or system call pushed at `at`?
 * @remarks The rules of crash: the segments, flags and addresses of either mode.
 */
export function plausible_regs(regs: Registers, at: Va, size: number, check: FrameCheck): boolean {
  if ((regs.rflags & RFLAGS_ZERO) !== 0n || (regs.rflags & RFLAGS_ONE) === 0n) return false
  if (check.mem.wordSize === 4) return regs.cs === KERNEL_CS_32 && regs.ds === DS_32 && regs.es === DS_32
  const rip = toVa(regs.rip)
  const rsp = toVa(regs.rsp)
  if (regs.cs === KERNEL_CS) {
    const text = !Number.isNaN(rip) && check.isText(rip)
    if (regs.ss === KERNEL_SS && ((text && rsp < 0) || rsp === at + size)) return true
    return text && rsp < 0 && (rsp === at + size || rsp === at + size + 8 || check.inExceptionStack)
  }
  const user = (regs.cs === USER_CS || regs.cs === USER32_CS) && regs.ss === USER_DS
  return user && regs.rip > 0n && regs.rip < USER_MAX && regs.rsp > 0n && regs.rsp < USER_MAX
}
