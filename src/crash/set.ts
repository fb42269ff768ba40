/** `set`: where a session is, going elsewhere, and the session's variables. */

import { UsageError } from '../base/errors.ts'
import { find_panic } from '../helpers/panic.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import { cpuList } from './cpu-list.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'
import { contextRow, contextText } from './set-context.ts'
import { variable, variablesText, variableValues } from './set-variables.ts'
import { currentTask, isNumber, tasksOfWord } from './task-words.ts'

export interface SetInvocation {
  readonly target: Target
  readonly context: Context
  readonly flags: { readonly v?: boolean; readonly c?: string; readonly p?: boolean; readonly a?: string }
  readonly words: readonly string[]
  readonly note: (line: string) => void
}

export function setReport(invocation: SetInvocation): Report {
  const { target, context, flags, words } = invocation
  if (flags.v) return { rows: variableValues(context, target), text: variablesText(context, target) }
  if (flags.c !== undefined) return goTo(invocation, taskOnCpu(target, flags.c))
  if (flags.p) return goTo(invocation, panicTask(target))
  const [word, value, ...more] = flags.a === undefined ? words : [flags.a, ...words]
  if (word === undefined) return goTo(invocation, currentTask(target, context))
  if (more.length > 0) throw new Misuse()
  const known = variable(word)
  if (known !== undefined) return setVariable(invocation, word, value)
  if (value !== undefined) throw new Misuse()
  return goTo(invocation, namedTask(target, word))
}

/** Make a task the current one, and show it. */
function goTo({ target, context }: SetInvocation, task: TaskContext | undefined): Report {
  if (task === undefined) throw new UsageError('', 'no tasks in this dump')
  context.task = task.va
  const row = contextRow(target, task)
  return { rows: row, text: contextText(row) }
}

function namedTask(target: Target, word: string): TaskContext {
  const named = isNumber(word) ? tasksOfWord(task_table(target), word) : undefined
  const task = named?.tasks[0]
  if (task !== undefined) return task
  const problem = isNumber(word) ? 'invalid task or pid value' : 'invalid task, pid, or variable'
  throw new UsageError(word, `${problem}: ${word}`)
}

function taskOnCpu(target: Target, text: string): TaskContext {
  const [cpu] = cpuList(target, text)
  const table = task_table(target)
  const va = cpu === undefined ? undefined : table.active[cpu]
  const task = va === undefined ? undefined : table.byAddress(va)
  if (task === undefined) throw new UsageError(text, `cannot determine active task on cpu ${text}`)
  return task
}

function panicTask(target: Target): TaskContext {
  const { task } = find_panic(target)
  if (task === undefined) throw new UsageError('-p', 'no panic task found!')
  return task
}

function setVariable({ target, context }: SetInvocation, word: string, value: string | undefined): Report {
  const known = variable(word)
  if (known === undefined) throw new Misuse()
  if (value !== undefined) {
    if (known.set === undefined) throw new UsageError(word, `${known.name}: cannot be changed`)
    known.set(context, value, target)
  }
  const shown = known.show(context, target)
  const name = known.name === 'radix' && value !== undefined ? 'output radix' : known.name
  return { rows: { [known.name]: shown }, text: `${name}: ${shown}\n` }
}
