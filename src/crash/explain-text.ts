/** `explain` as a command: which socks the words mean, and their explanations as rows and text. */

import { FaultError, LookupError, UsageError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { explainDescriptor, explainSock, socketDescriptors } from '../explain/explain.ts'
import type { Explanation } from '../explain/facts.ts'
import { refusalsOf } from '../explain/history.ts'
import { explainOops, oopsText } from '../explain/oops.ts'
import { explanationText } from '../explain/text.ts'
import { inet_end_text } from '../helpers/sock.ts'
import { task_comm, task_pid } from '../helpers/task.ts'
import { task_table } from '../helpers/tasks.ts'
import { ehash_for_each, lhash2_for_each, tcp_row, udp_for_each, type TcpRow } from '../helpers/tcp.ts'
import type { Target } from '../target/target.ts'
import { addressArgument } from './address-argument.ts'
import type { Report } from './dump-command.ts'

export interface ExplainFlags {
  readonly task?: string | undefined
  readonly fd?: string | undefined
  readonly sock?: string | undefined
  readonly all?: boolean | undefined
  readonly oops?: boolean | undefined
}

/** Rows: {@link Explanation} each; with `all`, one {@link TcpRow} a sock. */
export function explainReport(target: Target, flags: ExplainFlags): Report {
  if (flags.oops === true) {
    const why = explainOops(target)
    return { rows: why, text: oopsText(why) }
  }
  if (flags.all === true) return allReport(target)
  if (flags.sock !== undefined) {
    const va = addressArgument(target, flags.sock)
    return reportOf([explainSock(target, va)])
  }
  if (flags.task === undefined && flags.fd !== undefined) {
    throw new UsageError('fd', 'a descriptor belongs to a task: give --task as well')
  }
  const tasks = flags.task === undefined ? refusedTasks(target) : tasksNamed(target, flags.task)
  if (tasks.length === 0) return allReport(target)
  return reportOf(tasks.flatMap((task) => explainTask(target, task, flags.fd)))
}

function explainTask(target: Target, task: StructRef, fd: string | undefined): Explanation[] {
  if (fd !== undefined) {
    if (!/^\d+$/.test(fd)) throw new UsageError(fd, `not a descriptor: ${fd}`)
    return [explainDescriptor(target, task, Number(fd))]
  }
  const found = socketDescriptors(task)
  if (found.length === 0) {
    throw new LookupError('member', `open socket in PID ${task_pid(task)} "${task_comm(task)}"`)
  }
  return found.map((n) => explainDescriptor(target, task, n))
}

/** Tasks by pid, address or exact name. @throws LookupError when none fits */
function tasksNamed(target: Target, word: string): StructRef[] {
  const all = task_table(target).tasks.map(({ task }) => task)
  const pid = /^\d+$/.test(word) ? Number(word) : undefined
  const address = /^(0x)?[0-9a-f]{8,16}$/i.test(word)
    ? BigInt(word.startsWith('0x') ? word : `0x${word}`)
    : undefined
  const found = all.filter(
    (task) => task_pid(task) === pid || task.$addr === address || task_comm(task) === word,
  )
  if (found.length === 0) throw new LookupError('member', `task ${word} (a pid, an address or an exact name)`)
  return found
}

/** Without a task named: those whose receive a hook refused. */
function refusedTasks(target: Target): StructRef[] {
  const pids = new Set(refusalsOf(target).map(({ pid }) => pid))
  return pids.size === 0
    ? []
    : task_table(target)
        .tasks.map(({ task }) => task)
        .filter((task) => pids.has(task_pid(task)))
}

function reportOf(explanations: readonly Explanation[]): Report {
  return {
    rows: explanations,
    text: explanations.map(explanationText).join('\n'),
    failed: explanations.some(({ damage }) => damage.length > 0),
  }
}

/** UDP's socks, where there is UDP. */
function udpSocks(target: Target, damage: (error: FaultError | ValidationError) => void): StructRef[] {
  try {
    return [...udp_for_each(target, damage)]
  } catch (error) {
    if (error instanceof LookupError) return []
    throw error
  }
}

const udpRow = (sk: StructRef): TcpRow => {
  const row = tcp_row(sk)
  return { ...row, state: row.state === 'ESTABLISHED' ? 'UDP connected' : 'UDP' }
}

/** One line for every sock of TCP's and UDP's tables: also those no descriptor leads to. */
function allReport(target: Target): Report {
  const broken: string[] = []
  const damage = (error: FaultError | ValidationError): void => void broken.push(`  ${error.message}\n`)
  const socks = [
    ...lhash2_for_each(target, undefined, damage),
    ...[...ehash_for_each(target, undefined, damage)].map(({ sk }) => sk),
  ]
  const rows = [...socks.map(tcp_row), ...udpSocks(target, damage).map(udpRow)]
  const lines = rows.map(
    ({ sk, state, local, remote }) =>
      `${sk.toString(16).padStart(16)}  ${state.padEnd(13)}  ${inet_end_text(local).padEnd(24)}  ${inet_end_text(remote)}\n`,
  )
  const head = `${'SOCK'.padStart(10).padEnd(16)}  ${'STATE'.padEnd(13)}  ${'LOCAL'.padEnd(24)}  PEER\n`
  const hint = 'explain --sock ADDRESS tells one of them; explain --task PID the sockets of a task\n'
  return { rows, text: [head, ...lines, ...broken, hint].join(''), failed: broken.length > 0 }
}
