import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { btReport } from '../src/crash/bt.ts'

/**
 * Rows:
 * - {@link TraceRow} each
 * - `-e`: {@link TaskFramesRow} each
 * - `-E`: {@link CpuFramesRow} each
 * - `-v`: {@link OverflowRow} each
 * - `-O`: {@link BtDefaultRow}
 */
export default class Bt extends DumpCommand {
  static override summary = 'kernel stack traces: of a task, of running tasks, of the one that panicked'
  static override synopsis =
    'bt [-a|-c cpu(s)|-g|-r|-t|-T|-l|-e|-E|-f|-F|-o|-O|-v|-p] [-R ref] [-s [-x|d]]\n     [-I ip] [-S sp] [-n idle] [pid | task]'
  static override examples = ['bt', 'bt 178', 'bt -a', 'bt -f 178', 'bt -sx 178', 'bt -e 1']
  static override crashFlags = {
    a: { summary: 'the tasks running on each CPU' },
    c: { kind: 'value', summary: 'the tasks running on these CPUs' },
    g: { summary: 'all threads of the process' },
    p: { summary: 'the task that panicked' },
    t: { summary: 'every text address from the stack pointer on' },
    T: { summary: 'every text address on the whole stack' },
    f: { summary: 'the words of each frame' },
    F: {
      kind: 'count',
      summary: 'the words of each frame, by name where they have one; -FF: with addresses',
    },
    l: { summary: 'source lines (dumps hold none)' },
    s: { summary: 'offsets within functions' },
    x: { summary: 'offsets in hexadecimal' },
    d: { summary: 'offsets in decimal' },
    e: { summary: 'exception frames anywhere on the stack' },
    E: { summary: "exception frames on all CPUs' interrupt and exception stacks" },
    r: { summary: 'the raw words of the stack' },
    v: { summary: 'stacks that have overflowed' },
    o: { summary: 'do not follow frames: show every return address' },
    O: { summary: 'make that the default, or no longer' },
    R: { kind: 'value', summary: 'only traces that show this symbol or number' },
    n: { kind: 'value', summary: 'idle: leave out idle tasks' },
  } as const

  override show(invocation: Invocation<typeof Bt>): Report {
    return btReport(invocation)
  }
}
