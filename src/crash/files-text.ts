/** The tables of `files`: a task's open files, with addresses or with page counts. */

import { FaultError } from '../base/errors.ts'
import { file_row, for_each_file, task_dir, task_fdtable, type FileRow } from '../helpers/fs.ts'
import type { TaskContext } from '../helpers/tasks.ts'
import { addressWidth, centerHex, columnGap } from '../render/columns.ts'
import { center } from '../render/pad.ts'
import type { Target } from '../target/target.ts'
import { faultMark, isDamage } from './fault-mark.ts'
import { taskHeader } from './task-header.ts'

/** A task's answer in `files --json`. */
export interface TaskFiles {
  readonly pid: number
  readonly task: bigint
  readonly comm: string
  readonly root: string
  readonly cwd: string
  readonly files: readonly FileJson[]
  /** what of the table could not be read */
  readonly problem?: string
}

/** A descriptor in `files --json`. */
export interface FileJson {
  readonly fd: number
  readonly file: bigint
  readonly dentry: bigint
  readonly inode: bigint
  /** REG, DIR, CHR, BLK, LNK, FIFO, SOCK, UNKN */
  readonly type: string
  readonly path: string
  readonly mapping?: bigint
  readonly pages?: number
}

export interface FilesOptions {
  /** inodes' page counts instead of file and dentry addresses */
  readonly cache: boolean
  /** show only what refers to this */
  readonly ref?: string
}

export interface FilesAnswer {
  readonly rows: TaskFiles
  readonly text: string
  /** with a reference: was anything shown? */
  readonly shown: boolean
  readonly failed: boolean
}

/** The open files of one task, its header line included. */
export function taskFiles(target: Target, tc: TaskContext, options: FilesOptions): FilesAnswer {
  const root = directory(() => task_dir(tc.task, 'root'))
  const cwd = directory(() => task_dir(tc.task, 'pwd'))
  const { rows, problem } = readRows(target, tc)
  const json: TaskFiles = {
    pid: tc.pid,
    task: tc.task.$addr,
    comm: tc.comm,
    root,
    cwd,
    files: rows.map(fileJson),
    ...(problem === undefined ? {} : { problem }),
  }
  const failed = problem !== undefined || rows.some(({ unreadable }) => unreadable !== undefined)
  const { ref } = options
  if (ref !== undefined) return referred(target, tc, { ...options, ref }, { json, rows, failed })
  const lines = rows.map((row) => fileLine(target, row, options.cache))
  const table = lines.length > 0 ? [filesHeader(target, options.cache), ...lines] : []
  if (problem !== undefined) table.push(problem)
  if (table.length === 0) table.push('No open files')
  const dirs = hasFs(tc) ? [`ROOT: ${root}    CWD: ${cwd}`] : []
  const text = `${taskHeader(tc)}${[...dirs, ...table].join('\n')}\n`
  return { rows: json, text, shown: true, failed }
}

/** Only what a reference names: a descriptor, an address, a type or part of a path. */
function referred(
  target: Target,
  tc: TaskContext,
  options: FilesOptions & { ref: string },
  read: { json: TaskFiles; rows: readonly FileRow[]; failed: boolean },
): FilesAnswer {
  const { json } = read
  const matches = referenceTest(options.ref, maxFds(tc))
  const rows = read.rows.filter(matches)
  const inDirs = [json.root, json.cwd].some((path) => isPartOf(options.ref, path))
  const shown = inDirs || rows.length > 0
  const lines = shown ? [taskHeader(tc).trimEnd(), `ROOT: ${json.root}    CWD: ${json.cwd} `] : []
  if (rows.length > 0) lines.push(filesHeader(target, options.cache))
  lines.push(...rows.map((row) => fileLine(target, row, options.cache)))
  if (shown) lines.push('')
  const text = lines.map((line) => `${line}\n`).join('')
  return { rows: { ...json, files: rows.map(fileJson) }, text, shown, failed: read.failed }
}

/** Does a row match? Numbers above the table's size, or with letters, are addresses (or descriptors in hex). */
function referenceTest(ref: string, maxFd: number): (row: FileRow) => boolean {
  const decimal = /^\d+$/.test(ref) && Number(ref) <= maxFd
  const address =
    !decimal && /^(0x)?[0-9a-f]+$/i.test(ref) ? BigInt(`0x${ref.replace(/^0x/i, '')}`) : undefined
  return ({ fd, file, dentry, inode, type, path }) => {
    if (decimal && fd === Number(ref)) return true
    if (address !== undefined && [BigInt(fd), file, dentry, inode].includes(address)) return true
    return type.trimEnd() === ref || isPartOf(ref, path)
  }
}

function isPartOf(ref: string, path: string): boolean {
  return ref === '/' ? path === '/' : path.includes(ref)
}

/** A task that is exiting has given its `fs` back. */
function hasFs(tc: TaskContext): boolean {
  try {
    return tc.task.$ref('fs') !== null
  } catch (error) {
    if (isDamage(error)) return true
    throw error
  }
}

function maxFds(tc: TaskContext): number {
  try {
    return Number(task_fdtable(tc.task)?.$int('max_fds') ?? 0)
  } catch (error) {
    if (isDamage(error)) return 0
    throw error
  }
}

function readRows(target: Target, tc: TaskContext): { rows: FileRow[]; problem?: string } {
  const rows: FileRow[] = []
  try {
    for (const open of for_each_file(tc.task)) rows.push(file_row(target, open))
  } catch (error) {
    if (!isDamage(error)) throw error
    return { rows, problem: faultMark(error) }
  }
  return { rows }
}

function directory(read: () => string): string {
  try {
    return read()
  } catch (error) {
    if (isDamage(error)) return faultMark(error)
    throw error
  }
}

/** The line above the rows. */
export function filesHeader(target: Target, cache: boolean): string {
  const width = addressWidth(target.wordSize)
  const column = (name: string): string => center(name, width)
  const columns = cache
    ? [column('INODE'), column('I_MAPPING'), 'NRPAGES']
    : [column('FILE'), column('DENTRY'), column('INODE')]
  return [' FD', ...columns, 'TYPE', 'PATH'].join(columnGap(target.wordSize))
}

function fileLine(target: Target, row: FileRow, cache: boolean): string {
  const width = addressWidth(target.wordSize)
  const address = (value: bigint): string => (value === 0n ? center('?', width) : centerHex(value, width))
  const path = row.unreadable instanceof FaultError ? faultMark(row.unreadable) : row.path
  const line = (...columns: string[]): string =>
    [fd, ...columns, row.type.padEnd(4), path].join(columnGap(target.wordSize))
  const fd = String(row.fd).padStart(3)
  if (!cache) {
    const dentry = row.dentry === 0n ? center('0'.repeat(width), width) : centerHex(row.dentry, width)
    return line(centerHex(row.file, width), dentry, address(row.inode))
  }
  const pages = row.mapping === undefined ? '?' : String(row.mapping.nrpages)
  const mapping = address(row.mapping?.i_mapping ?? 0n)
  return line(address(row.inode), mapping, pages.padStart(7))
}

function fileJson({ fd, file, dentry, inode, type, path, mapping, unreadable }: FileRow): FileJson {
  return {
    fd,
    file,
    dentry,
    inode,
    type: type.trimEnd(),
    path: unreadable === undefined ? path : faultMark(unreadable),
    ...(mapping === undefined ? {} : { mapping: mapping.i_mapping, pages: Number(mapping.nrpages) }),
  }
}
