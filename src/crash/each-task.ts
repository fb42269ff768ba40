/** Commands that answer for the current task or for each task their words name. */

import type { Target } from '../target/target.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import type { Context } from './context.ts'
import type { Report } from './dump-command.ts'
import { currentTask, tasksOfWord } from './task-words.ts'

/** One task's part of an answer. */
export interface TaskAnswer<R> {
  readonly rows: R
  readonly text: string
  readonly failed: boolean
  /** with a reference: does anything of the task fit it? */
  readonly shown?: boolean
}

export interface EachTask<R> {
  readonly target: Target
  readonly context: Context
  readonly words: readonly string[]
  readonly note: (line: string) => void
  /** @param subsequent tasks answered before this one */
  readonly answer: (tc: TaskContext, subsequent: number, by: 'pid' | 'task' | 'current') => TaskAnswer<R>
  /** what to say of a word that names no task */
  readonly invalid: (word: string, subsequent: number) => string
}

/** Rows are an array with one element for each task. A reference that fits nothing of any task is a failure. */
export function eachTask<R>({ target, context, words, note, answer, invalid }: EachTask<R>): Report {
  const rows: R[] = []
  if (words.length === 0) {
    const tc = currentTask(target, context)
    if (tc === undefined) return { rows: [], text: '', failed: true }
    const { rows: one, text, failed, shown } = answer(tc, 0, 'current')
    return { rows: [one], text, failed: failed || shown === false, unmatched: !failed && shown === false }
  }
  let failed = false
  const shown: (boolean | undefined)[] = []
  const unmatched = (): boolean => shown.length > 0 && shown.every((any) => any === false)
  const text = function* (): Generator<string> {
    let subsequent = 0
    for (const word of words) {
      const named = tasksOfWord(task_table(target), word)
      if (named === undefined) {
        failed = true
        note(invalid(word, subsequent++))
      }
      for (const tc of named?.tasks ?? []) {
        const one = answer(tc, subsequent++, named?.kind ?? 'pid')
        rows.push(one.rows)
        failed ||= one.failed
        shown.push(one.shown)
        yield one.text
      }
    }
  }
  return {
    rows,
    text: text(),
    get failed() {
      return failed || unmatched()
    },
    get unmatched() {
      return !failed && unmatched()
    },
  }
}
