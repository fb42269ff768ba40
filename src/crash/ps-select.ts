/** Which tasks `ps` and `foreach` are to show: by pid, address, name or expression, in the table's order. */

import type { TaskContext, TaskTable } from '../helpers/tasks.ts'
import { isNumber, tasksOfWord } from './task-words.ts'

/** The longest name a task can have. */
const COMM_MAX = 15

/** How one word selects. */
export interface Selector {
  /** by what it is: names and expressions select processes only where threads are grouped */
  readonly by: 'pid' | 'task' | 'comm' | 'regex'
  readonly selects: (task: TaskContext) => boolean
}

/** An expression in single quotes. */
export const isQuoted = (word: string): boolean =>
  word.length > 2 && word.startsWith("'") && word.endsWith("'")

/** An expression of the user's; undefined when it is none. */
export function expressionOf(word: string): RegExp | undefined {
  try {
    return new RegExp(word.slice(1, -1))
  } catch {
    return undefined
  }
}

/**
 * Selectors of words.
 *
 * @param note told of words that select nothing
 */
export function selectors(
  table: TaskTable,
  words: readonly string[],
  note: (line: string) => void,
): Selector[] {
  return words.flatMap((word): Selector[] => {
    if (isQuoted(word)) {
      const expression = expressionOf(word)
      if (expression !== undefined) return [{ by: 'regex', selects: (t) => expression.test(t.comm) }]
      note(`invalid regular expression: ${word.slice(1, -1)}`)
      return []
    }
    if (isNumber(word)) {
      const named = tasksOfWord(table, word)
      if (named !== undefined) return [{ by: named.kind, selects: (t) => named.tasks.includes(t) }]
      note(`invalid task or pid value: ${word}\n`)
      return []
    }
    const comm = word.replace(/^\\/, '').slice(0, COMM_MAX)
    return [{ by: 'comm', selects: (t) => t.comm === comm }]
  })
}
