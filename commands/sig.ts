import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { eachTask } from '../src/crash/each-task.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { sigAnswer } from '../src/crash/sig-text.ts'
import { signal_name, signals_of } from '../src/helpers/signal.ts'
import { task_table, type TaskContext } from '../src/helpers/tasks.ts'
import type { SignalRow } from '../src/crash/rows.ts'

const SIGNALS = 64

/**
 * Rows:
 * - {@link SigRow} each
 * - `-l`: {@link SignalRow} each
 * - `-s`: for each set a list of {@link SignalRow}
 */
export default class Sig extends DumpCommand {
  static override summary = 'signal actions and pending signals of tasks'
  static override synopsis = 'sig [[-l] | [-s sigset]] | [-g] [pid | taskp] ...'
  static override examples = ['sig 178', 'sig -g 178', 'sig -s 4201']
  static override crashFlags = {
    g: { summary: 'of all threads of the group' },
    l: { summary: 'the signals by number and name' },
    s: { kind: 'values', summary: 'the signals of this mask, in hexadecimal' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Sig>): Report {
    if (flags.l === true) return listed(Array.from({ length: SIGNALS }, (_, i) => i + 1))
    if (flags.s !== undefined) return translated(flags.s)
    const table = task_table(target)
    const group = (tc: TaskContext): TaskContext[] => {
      const threads = table.byTgid(tc.tgid)
      return [...threads.filter((t) => t.pid === t.tgid), ...threads.filter((t) => t.pid !== t.tgid)]
    }
    return eachTask({
      target,
      context,
      words,
      note,
      answer: (tc) => {
        if (flags.g !== true) return sigAnswer(tc)
        const threads = group(tc)
        return sigAnswer(threads[0] ?? tc, threads)
      },
      invalid: (word) => `invalid task or pid value: ${word}`,
    })
  }
}

const rowsOf = (signals: readonly number[]): SignalRow[] =>
  signals.map((sig) => ({ sig, name: signal_name(sig) }))

function listed(signals: readonly number[]): Report {
  const rows = rowsOf(signals)
  return { rows, text: rows.map(({ sig, name }) => `${`[${sig}]`.padStart(4)} ${name}\n`).join('') }
}

function translated(masks: readonly string[]): Report {
  const sets = masks.map((mask) => {
    const digits = mask.replace(/^0x/i, '')
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) throw new Misuse(`invalid sigset: ${mask}`, mask)
    return rowsOf(signals_of(BigInt(`0x${digits}`)))
  })
  return { rows: sets, text: sets.map((set) => `${set.map(({ name }) => name).join(' ')}\n`).join('') }
}
