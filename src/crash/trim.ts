/** A dump cut down to what some commands read: run them, note the pages, write those. */

import { UsageError } from '../base/errors.ts'
import { utsname } from '../helpers/time.ts'
import { cpu_count } from '../helpers/percpu.ts'
import type { Container } from '../vmcore/container.ts'
import { writeKdump, type KdumpUtsname } from '../vmcore/kdump-write.ts'
import { openContainer } from '../vmcore/open.ts'
import { PageRecorder, recorded } from '../vmcore/recording.ts'
import { targetOf, type Target } from '../target/target.ts'
import { pageKinds, type PageKind } from '../target/trim-kinds.ts'
import { readAsCrash, readAsOpening, touch } from '../target/trim-opening.ts'
import { TextOutput } from './output.ts'
import { Session } from './session.ts'
import { Shell } from './shell.ts'
import { wholeObjects } from './trim-objects.ts'
import { alsoRange } from './trim-also.ts'

export interface TrimOptions {
  readonly output: string
  /** crash commands, each a line as typed */
  readonly commands: readonly string[]
  /** `ADDR` or `ADDR:LEN`, kernel memory to keep besides */
  readonly also?: readonly string[]
  readonly at?: string | undefined
  readonly namelist?: string | undefined
  readonly compress?: 'none' | 'zlib'
  /** leave out pages of processes and files even where commands read them */
  readonly noUser?: boolean
  /** keep what genuine crash reads besides; by default true */
  readonly crash?: boolean
  /** called as the work goes on */
  readonly progress?: (what: string) => void
}

/** What was read for one reason. */
export interface TrimReason {
  readonly reason: string
  /** pages nobody before it had read */
  readonly pages: number
  /** what the command said instead of an answer */
  readonly notes?: readonly string[]
}

/** The outcome; `--json` prints it. Sizes in bytes, everything else in pages. */
export interface TrimRow {
  readonly output: string
  readonly bytes: number
  readonly pages: number
  readonly pageBytes: number
  readonly reasons: readonly TrimReason[]
  /** pages in the file, by kind */
  readonly kept: Readonly<Record<PageKind, number>>
  /** pages of the source that are not in the file, by why */
  readonly left: {
    /** read by nobody */
    readonly unread: number
    /** read, but of a process or a file (`--no-user`) */
    readonly user: number
    /** read, but not in the source either */
    readonly absent: number
  }
}

/**
 * @throws DumpError when the source cannot be opened or the output not written
 * @throws UsageError when `noUser` is asked of a kernel that does not say whose a page is, or the output is the source
 */
export async function trim(path: string, options: TrimOptions): Promise<TrimRow> {
  const container = openContainer(path)
  try {
    return await trimContainer(container, options)
  } finally {
    container.close()
  }
}

async function trimContainer(container: Container, options: TrimOptions): Promise<TrimRow> {
  const opening = { at: options.at, namelist: options.namelist }
  // one target to read through the recorder, one to ask questions that need not be answered again
  const plain = targetOf(container, opening)
  const recorder = new PageRecorder(plain.phys, 'opening')
  const { text } = plain.vmcoreinfo
  const target = targetOf(recorded(container, recorder, text), { namelist: options.namelist })
  if (options.crash !== false) wholeObjects(target)
  options.progress?.('opening')
  readAsOpening(target)
  const notes = await runCommands(target, recorder, options)
  return write(container, plain, recorder, notes, options)
}

/** What a session shows when it begins, then the commands, then the rest. Gives each command's notes by its index. */
async function runCommands(
  target: Target,
  recorder: PageRecorder,
  options: TrimOptions,
): Promise<Map<number, readonly string[]>> {
  const notes = new Map<number, readonly string[]>()
  const session = new Session(target)
  for (const command of ['sys', 'set']) await run(session, command)
  const commands = new Session(target)
  for (const command of options.commands) {
    options.progress?.(command)
    recorder.because(command)
    const said = await run(commands, command)
    if (said.length > 0) notes.set(recorder.reasons.length - 1, said)
  }
  for (const word of options.also ?? []) {
    recorder.because(`--also ${word}`)
    const { va, size } = alsoRange(target, word)
    touch(target, va, size)
  }
  if (options.crash !== false) {
    options.progress?.('what crash reads')
    recorder.because('opening with crash')
    readAsCrash(target)
  }
  return notes
}

async function run(session: Session, command: string): Promise<readonly string[]> {
  const output = new NotingOutput()
  const shell = new Shell({ session, output })
  await shell.execute(command)
  return shell.failures > 0 ? output.notes : []
}

/** Keeps what a command notes; its text may be long and is not wanted. */
class NotingOutput extends TextOutput {
  readonly notes: string[] = []
  override write(): void {
    // read, not shown
  }
  override note(line: string): void {
    if (this.notes.length < 3) this.notes.push(line)
  }
}

function write(
  container: Container,
  plain: Target,
  recorder: PageRecorder,
  notes: ReadonlyMap<number, readonly string[]>,
  options: TrimOptions,
): TrimRow {
  const kinds = pageKinds(plain)
  const kept: Record<PageKind, number> = { kernel: 0, user: 0, cache: 0, unknown: 0 }
  let user = 0
  const pfns = recorder.pfns().filter((pfn) => {
    const kind = kinds(pfn)
    const out = options.noUser === true && (kind === 'user' || kind === 'cache')
    if (out) user++
    else kept[kind]++
    return !out
  })
  if (options.noUser === true && kept.unknown > 0)
    throw new UsageError('no-user', `this dump does not say whose ${kept.unknown} of the pages are`)
  const memory = container.ranges.reduce((sum, { startPfn, endPfn }) => sum + endPfn - startPfn, 0)
  const sizes = writeKdump(options.output, {
    wordSize: plain.wordSize,
    utsname: names(plain),
    physBase: plain.physBase,
    cpus: cpu_count(plain),
    notes: container.notes.filter(({ name }) => name !== 'VMCOREINFO'),
    vmcoreinfo: plain.vmcoreinfo.text,
    ranges: container.ranges,
    pfns,
    page: (pfn) => plain.phys.page(pfn) as Uint8Array,
    compress: options.compress ?? 'zlib',
    onPage: (done, of) => {
      if (done % 256 === 0) options.progress?.(`writing: ${Math.floor((done * 100) / of)}%`)
    },
  })
  return {
    output: options.output,
    bytes: sizes.file,
    pages: pfns.length,
    pageBytes: sizes.pages,
    reasons: recorder.reasons.map(({ reason, pfns: read }, i) => {
      const said = notes.get(i)
      return { reason, pages: read.length, ...(said !== undefined && { notes: said }) }
    }),
    kept,
    left: { unread: memory - pfns.length - user - recorder.absent.size, user, absent: recorder.absent.size },
  }
}

/** The kernel's utsname; empty where its page is not in the dump. */
function names(target: Target): KdumpUtsname {
  const machine = target.wordSize === 8 ? 'x86_64' : 'i686'
  try {
    return { ...utsname(target), machine }
  } catch {
    const release = target.vmcoreinfo.release ?? ''
    return { sysname: 'Linux', nodename: '', release, version: '', machine, domainname: '' }
  }
}
