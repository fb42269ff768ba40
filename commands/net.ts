import { UsageError } from '../src/base/errors.ts'
import { printOptions, radixOf } from '../src/crash/data-print.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { eachTask } from '../src/crash/each-task.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { allSocketsReport } from '../src/crash/net-all.ts'
import { arpReport, devicesReport } from '../src/crash/net-devices.ts'
import { taskSockets } from '../src/crash/net-sockets.ts'
import { tasksOfWords } from '../src/crash/task-words.ts'
import { globalRef } from '../src/helpers/kernel.ts'
import { ipv4_text } from '../src/helpers/inet-address.ts'
import { task_net } from '../src/helpers/net.ts'
import type { DottedQuadRow } from '../src/crash/rows.ts'

/**
 * Rows:
 * - {@link DeviceJson} each
 * - `-a`: {@link NeighbourJson} each
 * - `-s` and `-S`: {@link TaskSockets} each
 * - `--all`: {@link InetSocketJson} each
 * - `-N`: {@link DottedQuadRow}
 */
export default class Net extends DumpCommand {
  static override summary = 'network interfaces, the ARP table, and the sockets of tasks'
  static override synopsis =
    'net [-n [pid|task]] [[-s | -S] [-xd] [-R ref] [pid | task]] [-a] [-N ip-address]'
  static override examples = [
    'net',
    'net -a',
    'net -s 133',
    'net -S 133',
    'net -n 138',
    'net -N 6538a8c0',
    'net --all',
  ]
  static override crashFlags = {
    n: { kind: 'boolean', summary: "the interfaces of a task's network namespace" },
    a: { kind: 'boolean', summary: 'the ARP table' },
    s: { kind: 'boolean', summary: 'sockets: addresses, family, type, ends' },
    S: { kind: 'boolean', summary: 'sockets: every member of struct socket and struct inet_sock' },
    x: { kind: 'boolean', summary: 'with -S: integers in hex' },
    d: { kind: 'boolean', summary: 'with -S: integers in decimal' },
    R: { kind: 'value', summary: 'with -s or -S: only the socket with this descriptor or address' },
    all: { kind: 'boolean', summary: 'every internet socket in the kernel, owned by a task or not' },
    N: { kind: 'value', summary: 'a 32-bit number in memory order as a dotted quad' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Net>): Report {
    if (flags.x === true && flags.d === true)
      throw new UsageError('-x -d', '-d and -x are mutually exclusive')
    if (flags.s === true && flags.S === true)
      throw new UsageError('-s -S', 'only one -s or -S option allowed')
    if (flags.N !== undefined) return dottedQuad(flags.N)
    if (flags.a === true) return arpReport(target)
    if (flags.all === true) return allSocketsReport(target)
    if (flags.s === true || flags.S === true) {
      const print = printOptions(target, context, radixOf(flags))
      const ref = flags.R
      const options = { whole: flags.S === true, print, ...(ref === undefined ? {} : { ref }) }
      return eachTask({
        target,
        context,
        words,
        note,
        answer: (tc, subsequent) => {
          const one = taskSockets(target, tc, options)
          return { ...one, text: (subsequent > 0 && ref === undefined ? '\n' : '') + one.text }
        },
        invalid: (word) => `invalid task or pid value: ${word}`,
      })
    }
    if (words.length > 0 && flags.n !== true) throw new Misuse()
    const [tc] = flags.n === true ? tasksOfWords(target, context, words, note) : []
    if (flags.n === true && tc === undefined) return { rows: [], text: '', failed: true }
    const net = tc === undefined ? globalRef(target, 'init_net', 'net') : task_net(target, tc.task)
    if (net === null) throw new UsageError(words[0] ?? '', 'the task has no network namespace')
    return devicesReport(target, net)
  }
}

/** Digits alone are decimal; with a letter, or after `0x`, they are hex. */
function dottedQuad(word: string): Report {
  const decimal = /^\d+$/.test(word)
  if (!decimal && !/^(0x)?[0-9a-f]+$/i.test(word)) throw new UsageError(word, `invalid input: "${word}"`)
  const value = Number(BigInt.asUintN(32, BigInt(decimal ? word : `0x${word.replace(/^0x/i, '')}`)))
  const text = ipv4_text(value)
  return { rows: { address: text } satisfies DottedQuadRow, text: `${text}\n` }
}
