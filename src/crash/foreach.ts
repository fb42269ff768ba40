/** `foreach`: one command for each of several tasks. */

import { hex } from '../base/addr.ts'
import { task_table, type TaskContext } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import type { Context } from './context.ts'
import type { Json, Report } from './dump-command.ts'
import { foreachWords, type ForeachWords } from './foreach-words.ts'
import { contextRow, contextText } from './set-context.ts'
import { taskHeader } from './task-header.ts'
import type { ForeachRow } from './rows.ts'

export interface ForeachInvocation {
  readonly target: Target
  readonly context: Context
  readonly words: readonly string[]
  readonly note: (line: string) => void
  readonly call: (name: string, words: readonly string[]) => Promise<Report>
}

export async function foreachReport(invocation: ForeachInvocation): Promise<Report> {
  const { target, note } = invocation
  const asked = foreachWords(task_table(target), invocation.words, note)
  const { keyword, tasks } = asked
  if (keyword === undefined) {
    note('no keywords specified')
    return { rows: [], text: '', failed: true }
  }
  if (tasks.length === 0) return { rows: [], text: '', failed: true }
  if (keyword === 'ps')
    return invocation.call('ps', [...asked.options, ...tasks.map(addressOf), ...asked.words])
  if (keyword === 'set') return contexts(target, tasks)
  const parts: Part[] = []
  // headings that stand once above all tasks' answers: commands remember here what they have printed
  invocation.context.kept.set('foreach', new Set<string>())
  for (const task of tasks)
    parts.push({ task, report: await invocation.call(keyword, wordsFor(asked, task, note)) })
  invocation.context.kept.delete('foreach')
  return joined(asked, parts)
}

const addressOf = (task: TaskContext): string => hex(task.task.$addr)

/** What the command is given for one task. */
function wordsFor(asked: ForeachWords, task: TaskContext, note: (line: string) => void): string[] {
  const { keyword, options, words, tasks } = asked
  if (keyword === 'vtop') return ['-c', addressOf(task), ...options.filter((o) => o !== '-c'), ...words]
  if (keyword === 'net' && !options.includes('-s') && !options.includes('-S')) {
    if (task === tasks[0]) note('net command requires -s or -S option\n')
    return ['-s', ...options, addressOf(task)]
  }
  return [...options, ...words, addressOf(task)]
}

interface Part {
  readonly task: TaskContext
  readonly report: Report
}

/** The answers below one another, a blank line between them; what a reference does not match leaves nothing. */
function joined(asked: ForeachWords, parts: readonly Part[]): Report {
  const own = asked.keyword === 'vtop'
  const ending = asked.keyword === 'task' ? '\n' : ''
  const between = asked.keyword === 'task' && asked.reference !== undefined ? '' : '\n'
  const text = function* (): Generator<string> {
    let printed = 0
    for (const { task, report } of parts) {
      let any = false
      for (const piece of own ? piecesOf(report.text) : withoutTrailingBlanks(report.text)) {
        if (!any) {
          if (printed++ > 0) yield between
          if (own) yield taskHeader(task)
        }
        any = true
        yield piece
      }
      if (any) yield ending
    }
  }
  const rows = (): Json =>
    parts.map(({ task, report }): ForeachRow => ({
      pid: task.pid,
      task: task.task.$addr,
      comm: task.comm,
      rows: report.rows,
    }))
  return {
    get rows() {
      return rows()
    },
    text: text(),
    get failed() {
      const unmatched = parts.filter(({ report }) => report.unmatched === true)
      const others = parts.some(({ report }) => report.failed === true && report.unmatched !== true)
      return others || (parts.length > 0 && unmatched.length === parts.length)
    },
  }
}

const piecesOf = (text: string | Iterable<string>): Iterable<string> =>
  typeof text === 'string' ? [text] : text

/** The pieces of a text, its last line ended once. */
function* withoutTrailingBlanks(text: string | Iterable<string>): Generator<string> {
  let held = ''
  let any = false
  for (const piece of piecesOf(text)) {
    const body = piece.replace(/\n+$/, '')
    if (body === '') {
      held += piece
      continue
    }
    any = true
    yield held + body
    held = piece.slice(body.length)
  }
  if (any) yield '\n'
}

function contexts(target: Target, tasks: readonly TaskContext[]): Report {
  const rows = tasks.map((task) => contextRow(target, task))
  const text = tasks.map((task, i) => {
    const row = rows[i]
    return taskHeader(task) + (row === undefined ? '' : contextText(row))
  })
  return { rows, text: text.join('\n') }
}
