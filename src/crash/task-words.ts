/** Words that name tasks: a pid, the address of a `task_struct`; and the task a session is at. */

import { toVa } from '../base/addr.ts'
import { find_panic } from '../helpers/panic.ts'
import { task_table, type TaskContext, type TaskTable } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'

const DECIMAL = /^[0-9]+$/
const HEXADECIMAL = /^(0x)?[0-9a-f]+$/i

/** Could a word be a pid or an address? */
export const isNumber = (word: string): boolean => DECIMAL.test(word) || HEXADECIMAL.test(word)

/** What a number names. */
export type TaskWord =
  | { readonly kind: 'pid'; readonly pid: number; readonly tasks: readonly TaskContext[] }
  | { readonly kind: 'task'; readonly tasks: readonly TaskContext[] }

/**
 * The tasks a number names, taken as decimal and as hexadecimal. A number that is a pid both ways is the decimal
 * one; any other doubt names nothing.
 */
export function tasksOfWord(table: TaskTable, word: string): TaskWord | undefined {
  const decimal = DECIMAL.test(word) ? BigInt(word) : undefined
  const digits = word.replace(/^0x/i, '')
  const hexadecimal = HEXADECIMAL.test(word) && digits.length <= 16 ? BigInt(`0x${digits}`) : undefined
  const values = [...new Set([decimal, hexadecimal])].filter((v) => v !== undefined)
  const found: TaskWord[] = []
  for (const value of values) {
    const pid = Number(value)
    const tasks = value <= 0x7fff_ffffn ? table.byPid(pid) : []
    if (tasks.length > 0) found.push({ kind: 'pid', pid, tasks })
    const task = table.byAddress(toVa(value, table.kernel.mem.wordSize))
    if (task !== undefined) found.push({ kind: 'task', tasks: [task] })
  }
  const [first, second] = found
  if (found.length === 1) return first
  return found.length === 2 && first?.kind === 'pid' && second?.kind === 'pid' ? first : undefined
}

/** The task a session is at: the one set, else the one that panicked, else the first. */
export function currentTask(target: Target, context: Context): TaskContext | undefined {
  const table = task_table(target)
  const chosen = context.task === undefined ? undefined : table.byAddress(context.task)
  return chosen ?? find_panic(target).task ?? table.tasks[0]
}

/**
 * The tasks a command's words name; the current task without words.
 *
 * @param note told of words that name no task
 */
export function tasksOfWords(
  target: Target,
  context: Context,
  words: readonly string[],
  note: (line: string) => void,
): TaskContext[] {
  const table = task_table(target)
  if (words.length === 0) {
    const task = currentTask(target, context)
    return task === undefined ? [] : [task]
  }
  return words.flatMap((word) => {
    const named = tasksOfWord(table, word)
    if (named === undefined) note(`invalid task or pid value: ${word}`)
    return named?.tasks ?? []
  })
}
