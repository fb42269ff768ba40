/** The words of `foreach`: which tasks, which command, and what that command is given. */

import { UsageError } from '../base/errors.ts'
import type { TaskContext, TaskTable } from '../helpers/tasks.ts'
import { is_kernel_thread, task_state, task_state_string, task_states } from '../helpers/task.ts'
import { Misuse } from './misuse.ts'
import { expressionOf, isQuoted } from './ps-select.ts'
import { isNumber, tasksOfWord } from './task-words.ts'

/** Commands that can be given for each task. */
const KEYWORDS = ['bt', 'vm', 'task', 'set', 'files', 'net', 'vtop', 'sig', 'ps'] as const
export type Keyword = (typeof KEYWORDS)[number]

const STATES = ['RU', 'IN', 'UN', 'ST', 'TR', 'ZO', 'DE', 'PA', 'WA', 'ID', 'NE', 'SW']
/** Letters crash takes; all are handed to the command. */
const LETTERS = 'vomlgersStTpukcfFxhdaG'
const WITH_VALUE = 'Ry'
const COMM_MAX = 15

export interface ForeachWords {
  /** undefined: none was given */
  readonly keyword: Keyword | undefined
  /** the options, each in a word of its own, values after them */
  readonly options: readonly string[]
  /** `-R`'s value */
  readonly reference: string | undefined
  /** words after the command */
  readonly words: readonly string[]
  readonly tasks: readonly TaskContext[]
}

type Test = (task: TaskContext) => boolean

/**
 * @param note told of words that name nothing
 * @throws Misuse, UsageError
 */
export function foreachWords(
  table: TaskTable,
  given: readonly string[],
  note: (line: string) => void,
): ForeachWords {
  const { options, reference, rest } = separateOptions(given)
  if (rest.length === 0) throw new Misuse()
  const at = rest.findIndex((word) => isKeyword(word))
  const keyword = at < 0 ? undefined : (rest[at] as Keyword)
  const chooser = new Chooser(table, note)
  for (const word of at < 0 ? rest : rest.slice(0, at)) chooser.add(word)
  const words = at < 0 ? [] : rest.slice(at + 1)
  return { keyword, options, reference, words, tasks: chooser.tasks() }
}

const isKeyword = (word: string): word is Keyword => (KEYWORDS as readonly string[]).includes(word)

function separateOptions(given: readonly string[]): {
  options: string[]
  reference: string | undefined
  rest: string[]
} {
  const options: string[] = []
  const rest: string[] = []
  let reference: string | undefined
  for (let i = 0; i < given.length; i++) {
    const word = given[i] ?? ''
    if (!/^-[A-Za-z]/.test(word)) {
      rest.push(word)
      continue
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at)
      if (LETTERS.includes(letter)) options.push(`-${letter}`)
      else if (WITH_VALUE.includes(letter)) {
        const value = word.slice(at + 1) || given[++i]
        if (value === undefined) throw new Misuse(undefined, word)
        options.push(`-${letter}`, value)
        if (letter === 'R') reference = value
        break
      } else throw new Misuse(undefined, word)
    }
  }
  return { options, reference, rest }
}

/** Collects what the words say of the tasks: kinds narrow, names widen. */
class Chooser {
  readonly #table: TaskTable
  readonly #note: (line: string) => void
  readonly #narrowing: Test[] = []
  readonly #naming: Test[] = []
  #named = false
  #kind: 'kernel' | 'user' | undefined
  #state: string | undefined

  constructor(table: TaskTable, note: (line: string) => void) {
    this.#table = table
    this.#note = note
  }

  add(word: string): void {
    if (isNumber(word) && this.#addNumber(word)) return
    const plain = word.replace(/^\\/, '')
    if (word === 'kernel' || word === 'user' || word === 'gleader') this.#addKind(word)
    else if (STATES.includes(plain)) this.#addState(plain)
    else if (word === 'active') this.#narrowing.push((t) => this.#table.isActive(t))
    else if (isQuoted(word)) this.#addExpression(word)
    else this.#addName(word, plain)
  }

  tasks(): TaskContext[] {
    return this.#table.tasks.filter(
      (task) =>
        this.#narrowing.every((test) => test(task)) &&
        (!this.#named || this.#naming.some((test) => test(task))),
    )
  }

  #addNumber(word: string): boolean {
    const named = tasksOfWord(this.#table, word)
    if (named === undefined) return false
    this.#name((t) => named.tasks.includes(t))
    return true
  }

  #addKind(word: 'kernel' | 'user' | 'gleader'): void {
    const kind = word === 'kernel' ? 'kernel' : 'user'
    if (this.#kind !== undefined && this.#kind !== kind) {
      throw new UsageError(
        word,
        `${word === 'gleader' ? 'gleader' : 'user'} and kernel are mutually exclusive!`,
      )
    }
    this.#kind = kind
    this.#narrowing.push((t) => is_kernel_thread(t.task) === (kind === 'kernel'))
    if (word === 'gleader') this.#narrowing.push((t) => t.pid === t.tgid)
  }

  #addState(state: string): void {
    if (this.#state !== undefined) throw new UsageError(state, 'only one task state allowed')
    this.#state = state
    const states = task_states(this.#table.kernel)
    this.#narrowing.push((t) => task_state_string(states, task_state(t.task)).startsWith(state))
  }

  #addExpression(word: string): void {
    const expression = expressionOf(word)
    if (expression === undefined)
      throw new UsageError(word, `invalid regular expression: ${word.slice(1, -1)}`)
    this.#name((t) => expression.test(t.comm))
  }

  #addName(word: string, plain: string): void {
    const comm = plain.slice(0, COMM_MAX)
    if (this.#table.tasks.some((t) => t.comm === comm)) {
      this.#name((t) => t.comm === comm)
      return
    }
    // a name nobody has must not come to mean everybody
    this.#named = true
    this.#note(`unknown argument: "${word}"`)
  }

  #name(test: Test): void {
    this.#named = true
    this.#naming.push(test)
  }
}
