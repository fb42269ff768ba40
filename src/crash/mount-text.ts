/** The table of `mount`: a namespace's mounts, all or those that an argument names. */

import { hex, toVa, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { vfsmount_of } from '../helpers/dcache.ts'
import { for_each_mount, mount_row } from '../helpers/mount.ts'
import { addressWidth, columnGap } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'

/** A mount in `mount --json`. */
export interface MountJson {
  readonly mount: bigint
  readonly vfsmount: bigint
  readonly superblk: bigint
  readonly type: string
  readonly devname: string
  readonly dirname: string
}

const DEVNAME = 'DEVNAME  '.length
/** Type and device share this many columns: the blanks after a short device go when the type is long. */
const TYPE_AND_DEVICE = 17

/** @param words show only mounts one of whose columns is one of these (addresses in hex), or that hold this dentry or inode */
export function mountsReport(target: Target, task: StructRef, words: readonly string[]): Report {
  const rows: MountJson[] = []
  let failed = false
  const text = function* (): Generator<string> {
    let header = words.length === 0
    if (header) yield mountHeader(target)
    try {
      for (const mount of for_each_mount(task)) {
        const row = readRow(mount)
        if (words.length > 0 && !words.some((word) => matches(target, row, word))) continue
        if (!header) yield mountHeader(target)
        header = true
        rows.push(row)
        yield mountLine(target, row)
      }
      failed = words.length > 0 && rows.length === 0
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return { rows, text: text(), get failed() { return failed } } // prettier-ignore
}

function readRow(mount: StructRef): MountJson {
  const row = mount_row(mount)
  return {
    ...row,
    vfsmount: vfsmount_of(mount).$addr,
    type: row.type ?? 'unknown',
    devname: row.devname ?? '(unknown)',
  }
}

function matches(target: Target, row: MountJson, word: string): boolean {
  if ([row.type, row.devname, row.dirname].includes(word)) return true
  if (word.length > 1 && word.replace(/\/+$/, '') === row.dirname) return true
  if (!/^(0x)?[0-9a-f]+$/i.test(word)) return false
  const value = BigInt(`0x${word.replace(/^0x/i, '')}`)
  if ([row.mount, row.vfsmount, row.superblk].includes(value)) return true
  const va = toVa(value, target.wordSize)
  return (
    row.superblk === superblockOf(target, 'dentry', 'd_sb', va) ||
    row.superblk === superblockOf(target, 'inode', 'i_sb', va)
  )
}

/** The superblock of what may be a dentry or an inode. */
function superblockOf(target: Target, struct: string, member: string, va: Va): bigint | undefined {
  try {
    return target.ref(struct, va).$int(member)
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}

function mountHeader(target: Target): string {
  const width = addressWidth(target.wordSize)
  const mount = center(target.types.has('mount') ? 'MOUNT' : 'VFSMOUNT', width)
  return [mount, center('SUPERBLK', width), 'TYPE   DEVNAME   DIRNAME\n'].join(columnGap(target.wordSize))
}

function mountLine(target: Target, row: MountJson): string {
  const width = addressWidth(target.wordSize)
  let middle = `${row.type.padEnd(6)} ${row.devname.padEnd(DEVNAME)} `
  while (middle.length > TYPE_AND_DEVICE && middle.endsWith('  ')) middle = middle.slice(0, -1)
  const gap = columnGap(target.wordSize)
  const addresses = [row.mount, row.superblk].map((at) => hex(at).padStart(width)).join(gap)
  return `${addresses}${gap}${middle}${row.dirname.padEnd(10)}\n`
}
