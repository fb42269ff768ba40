/** What is said about the selected thing: of a socket which end is whose, of a member who wrote it, of a hook whose it is. */

import { hex, toAddr } from '../base/addr.ts'
import { explainDescriptor, explainSock } from '../explain/explain.ts'
import type { Explanation } from '../explain/facts.ts'
import { journalOf } from '../explain/history.ts'
import { placeOfSlab, placeText } from '../explain/place.ts'
import { explanationText } from '../explain/text.ts'
import { whyReport } from '../crash/why-text.ts'
import { file_row, type OpenFile, task_dir } from '../helpers/fs.ts'
import { module_string, module_users } from '../helpers/module.ts'
import type { LogRecord } from '../helpers/printk.ts'
import { sock_from_file } from '../helpers/sock.ts'
import {
  is_kernel_thread,
  task_state,
  task_state_names,
  task_states,
  task_tgid,
  task_comm,
  task_pid,
} from '../helpers/task.ts'
import type { StructRef } from '../btf/ref.ts'
import { isStruct, strip } from '../btf/type.ts'
import type { Target } from '../target/target.ts'
import { decoded } from './cell.ts'
import { hookLines, type HookRow } from './hook-rows.ts'
import { timeText, type SocketEntry } from './object-rows.ts'
import type { Selection } from './selection.ts'
import { attempt } from './subject.ts'
import type { TaskEntry } from './task-rows.ts'
import type { Moment } from './timeline.ts'
import { extentOf, type Node } from './tree.ts'
import { declaration } from './value-text.ts'

/** A question and how to answer it: answering may take longer than a key should. */
export interface Question {
  readonly key: string
  readonly answer: () => readonly string[]
}

/** What the explanation pane is about; undefined when nothing is selected. */
export function questionOf(selection: Selection): Question | undefined {
  const { state } = selection
  if (state.focus === 'tree' || state.focus === 'bytes' || state.trail.length > 0) {
    const asked = memberQuestion(selection)
    if (asked !== undefined) return asked
  }
  return rowQuestion(selection)
}

function rowQuestion(selection: Selection): Question | undefined {
  const { world, state } = selection
  const name = selection.sourceName
  const row = selection.row(name)
  if (row === undefined) return undefined
  const task = name === 'files' ? selection.taskKey() : undefined
  const entry = world.entry(name, state.lists[name].filter, selection.cursor(name), task)
  const { target } = world
  const answer = (): readonly string[] => {
    switch (name) {
      case 'tasks':
        return taskLines(target, world.tasks.task(entry as TaskEntry))
      case 'files':
        return fileLines(target, taskOf(selection, task), entry as OpenFile)
      case 'sockets':
        return socketLines(target, entry as SocketEntry)
      case 'log':
        return logLines(entry as LogRecord)
      case 'modules':
        return moduleLines(entry as StructRef)
      case 'hooks':
        return hookLines(entry as HookRow)
      case 'timeline':
        return momentLines(target, entry as Moment)
      case 'command':
        return []
    }
  }
  return { key: `${name} ${task ?? ''} ${row.key}`, answer }
}

function taskOf(selection: Selection, key: string | undefined): StructRef | undefined {
  const entry = key === undefined ? undefined : selection.world.taskEntry(key)
  return entry === undefined ? undefined : (selection.world.tasks.task(entry) ?? undefined)
}

function taskLines(target: Target, task: StructRef | null): string[] {
  if (task === null) return ['A process group or a session has this number; its leader is gone.']
  const parent = attempt(() => task.$ref('real_parent')) ?? null
  const state = task_state_names(task_states(target), task_state(task))
  const tgid = task_tgid(task)
  const kind = is_kernel_thread(task)
    ? 'a thread of the kernel'
    : tgid === task_pid(task)
      ? 'a process'
      : `a thread of process ${tgid}`
  const who = parent === null ? '' : `, child of ${task_pid(parent)} ${decoded(task_comm(parent))}`
  const pwd = attempt(() => task_dir(task, 'pwd')) ?? ''
  return [
    `${decoded(task_comm(task))}: ${kind}${who}; ${state}`,
    ...(is_kernel_thread(task) ? [] : [`working directory ${pwd === '' ? 'none' : decoded(pwd)}`]),
    `task_struct ${hex(task.$addr)}`,
  ]
}

function fileLines(target: Target, task: StructRef | undefined, open: OpenFile): string[] {
  const row = file_row(target, open)
  if (task !== undefined && attempt(() => sock_from_file(open.file)) !== undefined) {
    return told(explainDescriptor(target, task, open.fd))
  }
  return [
    `fd ${row.fd}: ${row.type.trim()} ${decoded(row.path)}`,
    `file ${hex(row.file)}  dentry ${hex(row.dentry)}  inode ${hex(row.inode)}`,
    ...(row.mapping === undefined
      ? []
      : [`mapping ${hex(row.mapping.i_mapping)} with ${row.mapping.nrpages} pages`]),
  ]
}

const told = (explanation: Explanation): string[] => explanationText(explanation).trimEnd().split('\n')

const socketLines = (target: Target, { sk }: SocketEntry): string[] => told(explainSock(target, sk.$va))

function logLines({ seq, ts_nsec, level, facility, caller, text, subsystem, device }: LogRecord): string[] {
  const who =
    caller === undefined ? '' : caller.kind === 'cpu' ? `, from CPU ${caller.id}` : `, from task ${caller.id}`
  const from = subsystem === '' ? [] : [`subsystem ${decoded(subsystem)}, device ${decoded(device)}`]
  return [
    ...decoded(text).split('\n'),
    `record ${seq} at ${timeText(ts_nsec)} s, level ${level}, facility ${facility}${who}`,
    ...from,
  ]
}

function moduleLines(mod: StructRef): string[] {
  const version = attempt(() => module_string(mod, 'version'))
  const users = attempt(() => module_users(mod)) ?? []
  return [
    `struct module ${hex(mod.$addr)}`,
    ...(version === undefined ? [] : [`version ${decoded(version)}`]),
    users.length === 0 ? 'no other module uses it' : `used by ${users.map(decoded).join(', ')}`,
  ]
}

function momentLines(target: Target, { kind, step, name, summary, position }: Moment): string[] {
  if (kind === 'snapshot') return [`Snapshot "${name}", taken after step ${step}. Enter shows it.`]
  const after = position === undefined ? undefined : target.snapshots[position]
  const shown =
    after === undefined
      ? 'No snapshot was taken after it.'
      : `Enter shows "${after.name}", the first snapshot after it.`
  return [`Step ${step}, ${name}: ${summary}`, shown]
}

/** About a member: its declaration, its place, which end it is, and by the journal who wrote it. */
function memberQuestion(selection: Selection): Question | undefined {
  const { world, state } = selection
  const place = selection.place()
  const node = selection.node()
  if (place === undefined || node === undefined) return undefined
  const { va, size } = extentOf(node)
  const crumbs = state.trail.length
  const answer = (): string[] => [
    ...(size <= 16 ? endLines(world.target, place.subject.type, place.subject.va, va) : []),
    ...memberLines(world.target, node, va, size),
    ...storeLines(world.target, va, size),
  ]
  return { key: `member ${crumbs} ${place.subject.va} ${node.path} ${va} ${size}`, answer }
}

function memberLines(target: Target, node: Node, va: number, size: number): string[] {
  const at = toAddr(va)
  const within = attempt(() => placeOfSlab(target, va, size))
  const of =
    node.parent === undefined || node.parent.type.name === ''
      ? ''
      : ` of ${node.parent.type.kind} ${node.parent.type.name}`
  const bytes = `${size} byte${size === 1 ? '' : 's'} at ${hex(at)}`
  const whole =
    within === undefined || within.object === node.parent?.type.name ? [] : [`in ${placeText(within, at)}`]
  return [`${declaration(node)}${of}; ${bytes}`, ...whole]
}

/** Of a member of a sock that holds an end of the connection: whose. */
function endLines(target: Target, type: Subject['type'], root: number, va: number): string[] {
  const plain = type === undefined ? undefined : strip(type)
  if (
    plain === undefined ||
    !isStruct(plain) ||
    !/sock$|^sock_common$/.test(plain.name) ||
    plain.name === 'socket'
  )
    return []
  const explained = attempt(() => explainSock(target, root))
  const field = explained?.fields.find(({ at }) => at === toAddr(va))
  if (field === undefined || explained === undefined) return []
  const whose = { local: 'this machine', foreign: 'the foreign end', none: 'nobody' }[field.side]
  return [
    `${field.value}: ${whose} (also called ${field.alias}; ${field.order} byte order)`,
    explained.headline,
  ]
}

type Subject = NonNullable<ReturnType<Selection['place']>>['subject']

function storeLines(target: Target, va: number, size: number): string[] {
  if (size > 64 || journalOf(target) === undefined) return []
  const { text } = whyReport(target, [hex(toAddr(va))], String(size))
  const lines = (typeof text === 'string' ? text : [...text].join('')).trimEnd().split('\n').slice(1)
  return lines.filter((line) => !/^ {2}holds /.test(line)).map((line) => line.replace(/^ {2}/, ''))
}
