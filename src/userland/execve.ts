/**
 * From a path to the program behind it: what execve(2) finds there, `#!` lines, and the search of PATH.
 *
 * @remarks a program's file is empty: what runs is the simulated program of that name. A file with contents is a
 * script.
 */

import { EACCES, EISDIR, ENOENT, ENOEXEC } from '../abi/errno.ts'
import { S_IFDIR, S_IFMT } from '../abi/stat.ts'
import type { ExecImage } from '../linux/fs/exec.ts'
import { perKernel } from '../linux/kernel.ts'
import type { Process, Program } from './process.ts'

export interface Loaded {
  readonly image: ExecImage
  readonly program: Program
}

/** Who knows the programs. Undefined: what lies there is none. */
export type Loader = (p: Process, path: string, argv: readonly string[], comm?: string) => Loaded | undefined

/** A machine's; set by whoever boots it. */
export const loaders = perKernel<{ load: Loader }>(() => ({ load: () => undefined }))

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const INTERPRETERS = 4
/** `stat.st_mode` and `.st_size` on x86-64 and in `struct stat64` of 32 bits. */
const STAT = { 8: { mode: 24, size: 48 }, 4: { mode: 16, size: 44 } } as const
const STAT_BYTES = 144
const AT_FDCWD = -100

/** What stat(2) says. */
export interface FileStatus {
  readonly mode: number
  readonly size: number
}

/** stat(2), or -errno. */
export function* stat(p: Process, path: string): Generator<unknown, FileStatus | number> {
  const mark = p.mark()
  const at = p.alloc(STAT_BYTES)
  const result = yield* p.syscall('newfstatat', AT_FDCWD, p.string(path), at, 0)
  const { mode, size } = STAT[p.abi.wordSize]
  const found = result < 0 ? result : { mode: p.readInt(at + mode), size: p.readInt(at + size, 8) }
  p.release(mark)
  return found
}

/**
 * Run what lies at a path instead of this process.
 * @returns -errno, when it does not come to that
 */
export function* execve(
  p: Process,
  path: string,
  argv: readonly string[],
  envp: readonly string[],
): Generator<unknown, number> {
  return yield* execImage(p, { path, argv, envp, comm: undefined }, INTERPRETERS)
}

interface Wanted {
  readonly path: string
  readonly argv: readonly string[]
  readonly envp: readonly string[]
  readonly comm: string | undefined
}

function* execImage(p: Process, wanted: Wanted, depth: number): Generator<unknown, number> {
  const { path, argv, envp, comm } = wanted
  const status = yield* stat(p, path)
  if (typeof status === 'number') return status
  if ((status.mode & S_IFMT) === S_IFDIR || (status.mode & 0o111) === 0) return -EACCES
  if (status.size > 0) {
    const interpreter = yield* interpreterOf(p, path)
    if (interpreter === undefined || depth === 0) return -ENOEXEC
    const script = { path: interpreter[0] as string, argv: [...interpreter, path, ...argv.slice(1)], envp }
    return yield* execImage(p, { ...script, comm: comm ?? path.replace(/^.*\//, '') }, depth - 1)
  }
  const loaded = loaders(p.k).load(p, path, argv, comm)
  if (loaded === undefined) return -ENOEXEC
  return yield* p.exec({ ...loaded.image, envp }, loaded.program)
}

/** The words behind `#!`: a path and at most one argument. @see fs/binfmt_script.c:load_script */
function* interpreterOf(p: Process, path: string): Generator<unknown, string[] | undefined> {
  const fd = yield* p.open(path, 0)
  if (fd < 0) return undefined
  const bytes = yield* p.read(fd, 256)
  yield* p.close(fd)
  const text = typeof bytes === 'number' ? '' : Buffer.from(bytes).toString('latin1')
  const found = /^#![ \t]*(\S+)(?:[ \t]+([^\n]*\S))?[ \t]*\n/.exec(text)
  return found?.[1] === undefined ? undefined : [found[1], ...(found[2] === undefined ? [] : [found[2]])]
}

/** As {@link execve}, looking for a name without a slash where PATH says. */
export function* execvpe(
  p: Process,
  argv: readonly string[],
  envp: readonly string[],
): Generator<unknown, number> {
  const [name = ''] = argv
  if (name.includes('/')) return yield* execve(p, name, argv, envp)
  const found = yield* search(p, name, envp)
  return typeof found === 'number' ? found : yield* execve(p, found, argv, envp)
}

/** Where PATH has a program, or -errno. */
export function* search(
  p: Process,
  name: string,
  envp: readonly string[],
): Generator<unknown, string | number> {
  const path = envp.find((word) => word.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH
  let problem = -ENOENT
  for (const folder of path.split(':')) {
    const file = `${folder === '' ? '.' : folder}/${name}`
    const status = yield* stat(p, file)
    if (typeof status === 'number') continue
    if ((status.mode & S_IFMT) !== S_IFDIR && (status.mode & 0o111) !== 0) return file
    problem = (status.mode & S_IFMT) === S_IFDIR ? -EISDIR : -EACCES
  }
  return problem
}
