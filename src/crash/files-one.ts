/** `files -d` and `files -p`: one dentry, one inode. */

import { hex, type Va } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { dentry_path, vfsmount_of } from '../helpers/dcache.ts'
import { inode_mapping, inode_type } from '../helpers/fs.ts'
import { findSymbolVa, refAt } from '../helpers/kernel.ts'
import { for_each_mount, mount_sb } from '../helpers/mount.ts'
import { inode_pages, page_row, type PageRow } from '../helpers/page.ts'
import { find_task } from '../helpers/pid.ts'
import { addressWidth } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { pageHeader, pageLine } from './page-text.ts'

/** `files -d --json`. */
export interface DentryJson {
  readonly dentry: bigint
  readonly inode: bigint
  readonly superblk: bigint
  readonly type: string
  readonly path: string
}

/** A dentry's inode, superblock, type and path. @throws FaultError when it cannot be read */
export function dentryReport(target: Target, va: Va): Report {
  const dentry = refAt(target, 'dentry', va)
  const inode = dentry.$ref('d_inode')
  const sb = inode?.$ref('i_sb') ?? null
  const path = sb === null ? '' : pathOf(target, dentry, sb)
  const type = inode === null ? 'N/A' : inode_type(target, inode)
  const width = addressWidth(target.wordSize)
  const header = `${['DENTRY', 'INODE', 'SUPERBLK'].map((name) => center(name, width)).join(' ')} TYPE PATH`
  const rows: DentryJson = {
    dentry: dentry.$addr,
    inode: inode?.$addr ?? 0n,
    superblk: sb?.$addr ?? 0n,
    type: type.trimEnd(),
    path,
  }
  const addresses = [rows.dentry, rows.inode].map((a) => hex(a).padStart(width))
  const line = `${addresses.join(' ')} ${center(hex(rows.superblk), width)} ${type} ${path}`
  return { rows, text: `${header}\n${line}\n` }
}

/** The path of a dentry through the mount of its superblock that pid 1 sees; through pipefs and sockfs besides. */
function pathOf(target: Target, dentry: StructRef, sb: StructRef): string {
  let path = ''
  const init = find_task(target, 1)
  for (const mount of init === null ? [] : for_each_mount(init)) {
    if (mount_sb(mount)?.$va === sb.$va) path = dentry_path(dentry, vfsmount_of(mount))
  }
  if (path !== '') return path
  for (const symbol of ['pipe_mnt', 'sock_mnt']) {
    const at = findSymbolVa(target, symbol)
    const va = at === undefined ? 0 : target.mem.pointer(at)
    if (va === 0) continue
    const vfsmount = refAt(target, 'vfsmount', va)
    if (vfsmount.$ref('mnt_sb')?.$va === sb.$va) return dentry_path(dentry, vfsmount)
  }
  return ''
}

/** `files -p --json`. */
export interface InodePagesJson {
  readonly inode: bigint
  readonly nrpages: number
  readonly pages: readonly PageRow[]
}

/** The pages of an inode that are in memory. @throws FaultError when the inode cannot be read */
export function inodePagesReport(target: Target, va: Va): Report {
  const inode = refAt(target, 'inode', va)
  const nrpages = Number(inode_mapping(inode).nrpages)
  const pages: PageRow[] = []
  const rows: InodePagesJson = { inode: inode.$addr, nrpages, pages }
  let failed = false
  const text = function* (): Generator<string> {
    const width = addressWidth(target.wordSize)
    yield `${center('INODE', width)}  NRPAGES\n`
    yield `${hex(inode.$addr).padStart(width)}  ${String(nrpages).padStart(7)}\n\n`
    try {
      for (const page of nrpages > 0 ? inode_pages(target, inode) : []) {
        const row = page_row(target, page)
        if (pages.length === 0) yield `${pageHeader(target.wordSize)}\n`
        pages.push(row)
        yield `${pageLine(row, target.wordSize)}\n`
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      failed = true
      yield `${faultMark(error)}\n`
    }
  }
  return {
    rows,
    text: text(),
    get failed() {
      return failed
    },
  }
}
