/** The line of a VMA, as `vm` and `vtop` print it. */

import { addr, hex } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { vma_flags, vma_path, vma_range } from '../helpers/mm.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** Columns of a user address at least. */
export const USER_WIDTH = 10

/** A VMA in `--json`. */
export interface VmaJson {
  readonly vma: bigint
  readonly start: bigint
  /** exclusive */
  readonly end: bigint
  /** `VM_*` */
  readonly flags: bigint
  /** empty when it maps none */
  readonly file: string
}

/** @param vma `struct vm_area_struct *` @throws FaultError when it cannot be read */
export function vmaJson(vma: StructRef): VmaJson {
  const { start, end } = vma_range(vma)
  return { vma: vma.$addr, start: addr(start), end: addr(end), flags: vma_flags(vma), file: vmaFile(vma) }
}

/** The file's path, or a mark of what could not be read. */
export function vmaFile(vma: StructRef): string {
  try {
    return vma_path(vma)
  } catch (error) {
    if (isDamage(error)) return faultMark(error)
    throw error
  }
}

/** The line above VMAs, without its newline. */
export function vmaHeader(wordSize: 4 | 8): string {
  const column = (name: string): string => center(name, USER_WIDTH, 'left')
  return `${center('VMA', addressWidth(wordSize))} ${column('START')} ${column('END')}  FLAGS FILE`
}

/** One VMA, without its newline. */
export function vmaLine({ vma, start, end, flags, file }: VmaJson, wordSize: 4 | 8): string {
  const range = [start, end].map((a) => hex(a).padStart(USER_WIDTH)).join(' ')
  return `${hex(vma).padStart(addressWidth(wordSize))} ${range} ${hex(flags).padStart(6)} ${file}`
}
