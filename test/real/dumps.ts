/**
 * The real kernels' dumps in the folder that COREDRILL_REAL names, and what genuine crash printed about them.
 * Packed files are unpacked once, into the system's temporary folder.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

export type DumpName = 'dev' | 'panic'

/** The folder with the real dumps; undefined when this machine has none. */
export const realFolder = process.env['COREDRILL_REAL']

/** Can tests against real dumps run? Give its negation to `describe.skipIf`. */
export const hasReal = realFolder !== undefined && existsSync(join(realFolder, 'dev'))

/** One command that was given to genuine crash. */
export interface OracleEntry {
  readonly dump: DumpName
  /** file of the answer, without its ending */
  readonly file: string
  /** the pid that `set` was given first */
  readonly pid: number | undefined
  readonly command: string
  /** what it printed */
  expected(): string
}

function folder(): string {
  if (realFolder === undefined) throw new Error('COREDRILL_REAL is not set')
  return realFolder
}

/** Where `name` of that folder is unpacked; `make` fills a fresh folder when it is not yet. */
function unpacked(name: string, make: (into: string) => void): string {
  const source = join(folder(), name)
  const { size, mtimeMs } = statSync(source)
  const hash = createHash('sha256').update(`${source} ${size} ${mtimeMs}`).digest('hex').slice(0, 16)
  const place = join(tmpdir(), `coredrill-real-${hash}`)
  if (existsSync(place)) return place
  const fresh = mkdtempSync(join(tmpdir(), 'coredrill-real-'))
  make(fresh)
  try {
    renameSync(fresh, place)
  } catch (error) {
    // another test process was faster
    rmSync(fresh, { recursive: true, force: true })
    if (!existsSync(place)) throw error
  }
  return place
}

/** Path of a dump that can be opened: QEMU's ELF core of `dev`, makedumpfile's file of `panic`. */
export function dumpPath(dump: DumpName): string {
  if (dump === 'panic') return join(folder(), 'panic', 'mdf-c31')
  const place = unpacked('dev/qemu-elf.zst', (into) => {
    execFileSync('zstd', ['-dq', join(folder(), 'dev/qemu-elf.zst'), '-o', join(into, 'qemu-elf')])
  })
  return join(place, 'qemu-elf')
}

/** The folder with crash's answers, or the guest's own /proc. */
export function textFolder(dump: DumpName, kind: 'oracle' | 'truth'): string {
  const place = unpacked(`${dump}/${kind}.tar.zst`, (into) => {
    mkdirSync(into, { recursive: true })
    const tar = execFileSync('zstd', ['-dcq', join(folder(), dump, `${kind}.tar.zst`)], {
      maxBuffer: 1 << 30,
    })
    execFileSync('tar', ['-xf', '-', '-C', into], { input: tar })
  })
  return dirname(findFile(place, kind === 'oracle' ? 'INDEX.tsv' : ''))
}

function findFile(place: string, name: string): string {
  for (const inside of ['', 'oracle', 'truth']) {
    const candidate = join(place, inside, name)
    if (name !== '' && existsSync(candidate)) return candidate
    if (name === '' && inside !== '' && existsSync(candidate)) return join(candidate, 'x')
  }
  return join(place, 'x')
}

/** Every recorded command of a dump, in the order it was given. */
export function oracle(dump: DumpName): OracleEntry[] {
  const place = textFolder(dump, 'oracle')
  const lines = readFileSync(join(place, 'INDEX.tsv'), 'utf8').trimEnd().split('\n').slice(1)
  return lines.map((line) => {
    const [file = '', context = '-', command = ''] = line.split('\t')
    const pid = context === '-' ? undefined : Number(context)
    return { dump, file, pid, command, expected: () => answer(place, file) }
  })
}

/** A recorded output without its first line, which is the command. */
function answer(place: string, file: string): string {
  const path = join(place, `${file}.txt`)
  const text = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`))
  const all = text.toString('utf8')
  return all.slice(all.indexOf('\n') + 1)
}
