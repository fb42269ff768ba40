/** Our answer beside genuine crash's, command by command. */

import { CommandSet } from '../../src/crash/command-set.ts'
import { Session } from '../../src/crash/session.ts'
import { Shell } from '../../src/crash/shell.ts'
import { TextOutput } from '../../src/crash/output.ts'
import { openTarget, type Target } from '../../src/target/target.ts'
import { dumpPath, oracle, type DumpName, type OracleEntry } from './dumps.ts'

export interface Comparison {
  readonly entry: OracleEntry
  readonly expected: string
  readonly found: string
  readonly same: boolean
  readonly milliseconds: number
}

const targets = new Map<DumpName, Promise<Target>>()
const commands = new CommandSet()

/** A real dump, opened once for the process. */
export function realTarget(dump: DumpName): Promise<Target> {
  let target = targets.get(dump)
  if (target === undefined) {
    target = openTarget(dumpPath(dump))
    targets.set(dump, target)
  }
  return target
}

/** The entries whose command's first word is one of these, or whose whole command matches. */
export function select(dump: DumpName, names: readonly string[], pattern?: RegExp): OracleEntry[] {
  return oracle(dump).filter(({ command }) => {
    const first = /^\S+/.exec(command)?.[0] ?? ''
    return (names.length === 0 || names.includes(first)) && (pattern === undefined || pattern.test(command))
  })
}

/** What the prompt prints for a recorded command, in a session of its own. */
export async function answerOf(
  target: Target,
  { pid, command, answer }: { pid: number | undefined; command: string; answer: string },
): Promise<string> {
  const session = new Session(target, commands)
  // gdb's value numbers go on from one recorded command to the next
  const number = /\$(\d+) = /.exec(answer)?.[1]
  if (number !== undefined) session.context.lastValueNumber = Number(number) - 1
  if (pid !== undefined) await new Shell({ session, output: new TextOutput() }).execute(`set ${pid}`)
  const output = new TextOutput()
  await new Shell({ session, output }).execute(command)
  return output.text
}

/** {@link answerOf} on the dump of which the entry was recorded. */
export async function ours(entry: OracleEntry): Promise<string> {
  const { pid, command } = entry
  return await answerOf(await realTarget(entry.dump), { pid, command, answer: entry.expected() })
}

export async function compare(entry: OracleEntry): Promise<Comparison> {
  const expected = entry.expected()
  const start = performance.now()
  const found = await ours(entry)
  return { entry, expected, found, same: found === expected, milliseconds: performance.now() - start }
}

/** The first lines that differ, `-` genuine crash's, `+` ours. */
export function firstDifference(
  { expected, found }: Pick<Comparison, 'expected' | 'found'>,
  lines = 6,
): string {
  const a = expected.split('\n')
  const b = found.split('\n')
  const from = a.findIndex((line, i) => line !== b[i])
  const at = from < 0 ? a.length : from
  const show = (mark: string, all: string[]) =>
    all.slice(at, at + lines).map((line) => `  ${mark} ${JSON.stringify(line.slice(0, 240))}`)
  return [`  line ${at + 1}:`, ...show('-', a), ...show('+', b)].join('\n')
}
