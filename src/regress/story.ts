/** What a recording tells without its memory: log, packets, output of programs, lines and probes, answers of commands. */

import { createHash } from 'node:crypto'
import { CoredrillError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'
import type { Recording } from '../scenario/recorder.ts'
import type { CommandRunner } from '../scenario/expect.ts'
import { describeFrame } from '../scenario/frame-text.ts'
import { logText } from '../scenario/expect-log.ts'

/** A part of the story: a heading, and lines. */
export interface Section {
  readonly heading: string
  readonly lines: readonly string[]
}

/**
 * The story of a recording, in sections that are there even when they are empty.
 *
 * @param target  its dump, opened
 * @param answer  answers the `command:` lines the scenario wants kept
 */
export async function storyOf(
  recording: Recording,
  target: Target,
  answer: CommandRunner,
): Promise<Section[]> {
  const { run } = recording
  const sections: Section[] = [
    { heading: 'machine', lines: machineLines(recording) },
    { heading: 'steps', lines: run.rows.map(({ summary, atNs, endNs }) => `${time(atNs)} ${time(endNs)} ${summary}`) },
    ...run.rows.flatMap((row) => shellSection(row)),
    { heading: 'log', lines: linesOf(logText(target)) },
    { heading: 'packets', lines: run.frames.map((frame) => `${time(frame.atNs)} ${frame.device} ${frame.direction} ${describeFrame(frame)}`) },
    ...run.traces.rows().map(({ name, lines }) => ({ heading: `probe ${name}`, lines })),
    ...run.programs.rows().map((program) => ({ heading: `program ${program.name}`, lines: programLines(program) })),
    { heading: 'refusals', lines: run.refusals.all.map((refusal) => JSON.stringify(refusal)) },
  ] // prettier-ignore
  for (const { at, command } of run.scenario.golden) {
    const of = at === undefined ? target : target.at(at)
    sections.push({
      heading: `${command} @ ${at ?? 'end'}`,
      lines: linesOf(await answered(of, command, answer)),
    })
  }
  sections.push({ heading: 'snapshots', lines: snapshotLines(recording) })
  return sections
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))
const time = (ns: number): string => (ns / 1e9).toFixed(9).padStart(20)

function machineLines({ run, dump }: Recording): string[] {
  const { profile, release } = dump.header
  const { cpus, seed } = run.scenario
  return [`profile ${profile}`, `release ${release}`, `cpus ${cpus}`, `seed ${seed}`]
}

function shellSection(row: { readonly summary: string; readonly line: number }): Section[] {
  if (!('output' in row) || typeof row.output !== 'string') return []
  const status = 'status' in row ? [`status ${String(row.status)}`] : []
  return [{ heading: `line ${row.line}: ${row.summary}`, lines: [...linesOf(row.output), ...status] }]
}

interface Program {
  readonly pid: number
  readonly argv: readonly string[]
  readonly stdout: string
  readonly stderr: string
  readonly exit: { readonly status: number; readonly signal: number } | null
}

function programLines({ pid, argv, stdout, stderr, exit }: Program): string[] {
  const end =
    exit === null
      ? 'runs'
      : exit.signal === 0
        ? `exit status ${exit.status}`
        : `killed by signal ${exit.signal}`
  return [
    `pid ${pid}: ${argv.join(' ')}`,
    ...linesOf(stdout).map((line) => `out ${line}`),
    ...linesOf(stderr).map((line) => `err ${line}`),
    end,
  ]
}

async function answered(target: Target, command: string, answer: CommandRunner): Promise<string> {
  try {
    return await answer(target, command)
  } catch (error) {
    if (!(error instanceof CoredrillError)) throw error
    return `${error.message}\n`
  }
}

/** One line each: a digest of all the memory there is then. */
function snapshotLines({ dump }: Recording): string[] {
  let digest = Buffer.alloc(0)
  return dump.snapshots.map(({ name, pages }) => {
    const hash = createHash('sha256').update(digest)
    let count = 0
    const number = Buffer.alloc(8)
    for (const [pfn, bytes] of [...pages].sort(([a], [b]) => a - b)) {
      number.writeDoubleLE(pfn)
      hash.update(number).update(bytes)
      count++
    }
    digest = hash.digest()
    return `${name} ${count} pages changed, memory ${digest.toString('hex').slice(0, 16)}`
  })
}
