/** `task`: a task's `task_struct` and `thread_info`, whole or by member. */

import { UsageError } from '../base/errors.ts'
import { CValue } from '../btf/value.ts'
import { task_thread_info } from '../helpers/task.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import { plainValue, type PlainValue } from '../render/c-plain.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import { printOptions, radixOf } from './data-print.ts'
import type { Report } from './dump-command.ts'
import { findMember, findPath, isNested, memberText } from './struct-members.ts'
import { taskHeader } from './task-header.ts'
import { currentTask, isNumber, tasksOfWord } from './task-words.ts'
import type { TaskRow } from './rows.ts'

export interface TaskInvocation {
  readonly target: Target
  readonly context: Context
  readonly flags: {
    readonly R?: readonly string[]
    readonly x?: boolean
    readonly h?: boolean
    readonly d?: boolean
  }
  readonly words: readonly string[]
  readonly note: (line: string) => void
}

export function taskReport({ target, context, flags, words, note }: TaskInvocation): Report {
  const hex = flags.x === true || flags.h === true
  if (hex && flags.d) throw new UsageError('-x', '-d and -x are mutually exclusive')
  const table = task_table(target)
  const members = (flags.R ?? []).flatMap(splitMembers)
  const tasks: TaskContext[] = []
  let bogus = false
  for (const word of words) {
    const named = isNumber(word) ? tasksOfWord(table, word) : undefined
    if (named !== undefined) tasks.push(...named.tasks)
    else if (isNumber(word)) {
      bogus = true
      note(`invalid task or pid value: ${word}\n`)
    } else if (isMember(target, word)) members.push(...splitMembers(word))
    else note(`invalid task, pid, or task_struct member: ${word}\n`)
  }
  const current = tasks.length === 0 && !bogus ? currentTask(target, context) : undefined
  const shown = current === undefined ? tasks : [current]
  const options = printOptions(target, context, radixOf({ x: hex, d: flags.d === true }))
  const text = function* (): Generator<string> {
    for (const task of shown) yield* taskText(target, task, members, options, note)
  }
  return {
    get rows() {
      return shown.map((task) => taskRow(target, task, members, options))
    },
    text: text(),
    failed: bogus,
  }
}

const splitMembers = (list: string): string[] => list.split(',').filter((m) => m !== '')

/** `pid`, `pid,comm`, `se.load`, `comm[0]` */
const isMember = (target: Target, word: string): boolean =>
  /[,.[]/.test(word) || target.types.has('task_struct', word)

interface Structs {
  readonly task: CValue
  readonly info: CValue
}

function structsOf(target: Target, { task }: TaskContext): Structs {
  const { types, mem } = target
  const info = task_thread_info(task)
  return {
    task: CValue.at(types, mem, types.struct('task_struct'), task.$addr),
    info: CValue.at(types, mem, types.struct('thread_info'), info.$addr),
  }
}

function* taskText(
  target: Target,
  context: TaskContext,
  members: readonly string[],
  options: PrintOptions,
  note: (line: string) => void,
): Generator<string> {
  const { task, info } = structsOf(target, context)
  yield taskHeader(context)
  if (members.length === 0) {
    yield `struct task_struct ${valueText(task, options)}\n\nstruct thread_info ${valueText(info, options)}\n\n`
    return
  }
  for (const member of members) {
    const lines = [task, info].map((value) => textOf(value, member, options)).filter((t) => t !== undefined)
    if (lines.length === 0) note(`${member}: not a task_struct or thread_info member`)
    yield lines.join('')
  }
  yield '\n'
}

/** A member of either struct; paths are the task's. */
function textOf(value: CValue, member: string, options: PrintOptions): string | undefined {
  if (!isNested(member) && findMember(value, member) === undefined) return undefined
  return memberText(value, member, options)
}

function taskRow(
  target: Target,
  context: TaskContext,
  members: readonly string[],
  options: PrintOptions,
): TaskRow {
  const { task, info } = structsOf(target, context)
  const head = { pid: context.pid, task: context.task.$addr, cpu: context.cpu, comm: context.comm }
  if (members.length === 0) {
    return { ...head, task_struct: plainValue(task, options), thread_info: plainValue(info, options) }
  }
  const values = members.map((member): [string, PlainValue | null] => {
    const found = findPath(task, member) ?? findPath(info, member)
    return [member, found === undefined ? null : plainValue(found.value, options)]
  })
  return { ...head, members: Object.fromEntries(values) }
}
