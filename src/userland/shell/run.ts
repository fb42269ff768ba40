/**
 * Running what was parsed: forks and pipes, redirections, and the programs in the end.
 *
 * @see bash execute_cmd.c
 */

import { EACCES, ENOENT, ENOEXEC, strerror } from '../../abi/errno.ts'
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../../abi/fcntl.ts'
import { execvpe } from '../execve.ts'
import type { Process, Program } from '../process.ts'
import { complain, readText, STDERR, writeAll } from '../stdio.ts'
import { builtin } from './builtins.ts'
import { expandText, expandWords, shownWord } from './expand.ts'
import { addJob, sayHowEnded, waitFor } from './jobs.ts'
import { parseShell, ShellSyntaxError, type Command, type Item, type List, type Redirection, type Simple } from './parse.ts' // prettier-ignore
import { environment, exitStatus, forkState, lookup, type ShellState } from './state.ts'

type Call = Generator<unknown, number>

/** Descriptors from here on are the shell's own. */
const SAVED_FROM = 10
const F_DUPFD = 0
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126
const MISUSE = 2

/** What a fork is to get: a pid, a processor. A shell asks it in the order of its forks. */
export type ForkPlan = () => { readonly pid?: number; readonly cpu?: number }

export class Shell {
  readonly p: Process
  readonly state: ShellState
  private readonly plan: ForkPlan

  constructor(p: Process, state: ShellState, plan: ForkPlan = () => ({})) {
    this.p = p
    this.state = state
    this.plan = plan
  }

  /** A line, or a whole script. @returns exit status */
  *run(text: string): Call {
    try {
      const list = parseShell(text)
      return yield* this.list(list)
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error
      yield* complain(this.p, `${this.where()}${error.problem}`)
      this.state.status = MISUSE
      return MISUSE
    }
  }

  /** How a complaint begins. */
  private where(): string {
    const { name, script, line } = this.state
    return script ? `${name}: line ${line}: ` : `${name}: `
  }

  private *list(list: List): Call {
    const { state } = this
    for (let i = 0; i < list.length && state.exit === undefined;) {
      const group = groupAt(list, i)
      i += group.length
      const [first] = group as [Item, ...Item[]]
      state.line = first.line
      if (first.background) yield* this.inBackground(group)
      else yield* this.group(group)
    }
    return state.exit ?? state.status
  }

  /** Pipelines joined by `&&` and `||`. */
  private *group(group: readonly Item[]): Call {
    const { state } = this
    for (const { join, pipeline } of group) {
      if (join === '&&' && state.status !== 0) continue
      if (join === '||' && state.status === 0) continue
      const status = yield* this.pipeline(pipeline.commands)
      state.status = pipeline.negated ? Number(status === 0) : status
      if (state.exit !== undefined) return state.exit
    }
    if (state.errexit && state.status !== 0) state.exit = state.status
    return state.status
  }

  private *inBackground(group: readonly Item[]): Call {
    const text = group.map(({ join, pipeline }, i) => (i > 0 ? `${join} ` : '') + pipeline.text).join(' ')
    const [only] = group as [Item, ...Item[]]
    const pids =
      group.length === 1 && !only.pipeline.negated
        ? yield* this.forkAll(only.pipeline.commands, true)
        : [yield* this.fork((shell) => shell.group(group), 0)]
    const started = pids.filter((pid) => pid > 0)
    if (started.length === 0) return (this.state.status = 1)
    yield* addJob(this.p, this.state, started, text)
    this.state.status = 0
    return 0
  }

  private *pipeline(commands: readonly Command[]): Call {
    const [first] = commands as [Command, ...Command[]]
    if (commands.length === 1 && first.kind === 'simple') return yield* this.simple(first)
    const pids = yield* this.forkAll(commands, false)
    return yield* this.foreground(pids)
  }

  /** A command that could not be forked has failed; those that could be are waited for. */
  private *foreground(all: readonly number[]): Call {
    const pids = all.filter((pid) => pid > 0)
    if (pids.length === 0) return 1
    const status = yield* waitFor(this.p, this.state, pids)
    if (pids.at(-1) !== all.at(-1)) return 1
    yield* sayHowEnded(this.p, this.state, status)
    return exitStatus(status)
  }

  /** A child for each command, with pipes between them. @returns their pids */
  private *forkAll(commands: readonly Command[], background: boolean): Generator<unknown, number[]> {
    const { p } = this
    const pids: number[] = []
    let input: number | undefined
    for (const [i, command] of commands.entries()) {
      const pipe = i < commands.length - 1 ? yield* p.pipe() : undefined
      const from = input
      const child = function* (shell: Shell): Call {
        if (from !== undefined) yield* shell.move(from, 0)
        else if (background && !shell.state.interactive) yield* shell.fromNull()
        if (pipe !== undefined) {
          yield* shell.p.close(pipe[0])
          yield* shell.move(pipe[1], 1)
        }
        return yield* shell.inChild(command)
      }
      pids.push(yield* this.fork(child, background ? (pids[0] ?? 0) : undefined))
      if (input !== undefined) yield* p.close(input)
      if (pipe !== undefined) yield* p.close(pipe[1])
      input = pipe?.[0]
    }
    return pids
  }

  /**
   * A copy of this shell that does something and ends.
   * @param group of a job in the background: the process group it joins, 0 for one of its own
   * @returns its pid
   */
  private *fork(body: (shell: Shell) => Call, group: number | undefined): Call {
    const state = forkState(this.state)
    const { plan } = this
    const program: Program = function* (child) {
      if (group !== undefined && state.interactive) yield* child.syscall('setpgid', 0, group)
      return yield* body(new Shell(child, { ...state, exit: undefined }, plan))
    }
    const pid = yield* this.p.fork(program, plan())
    if (pid < 0) yield* complain(this.p, `${this.where()}fork: ${strerror(-pid)}`)
    return pid
  }

  /** A background job of a script has no claim to the terminal. */
  private *fromNull(): Call {
    const fd = yield* this.p.open('/dev/null', O_RDONLY)
    return yield* this.move(fd, 0)
  }

  private *move(from: number, to: number): Call {
    if (from === to) return to
    yield* this.p.syscall('dup2', from, to)
    return yield* this.p.close(from)
  }

  /** A command in a process of its own, which ends with it. */
  private *inChild(command: Command): Call {
    if (command.kind === 'subshell') {
      if (!(yield* this.redirect(command.redirections))) return 1
      return yield* this.list(command.list)
    }
    const words = yield* this.prepare(command)
    if (!(yield* this.redirect(command.redirections))) return 1
    const own = builtin(words[0])
    if (own !== undefined) return yield* own(this.p, this.state, words, this.where())
    return words.length === 0 ? 0 : yield* this.exec(words)
  }

  /** Expand the words, trace, and assign what is in front of them. */
  private *prepare(command: Simple): Generator<unknown, string[]> {
    const { state } = this
    const find = (name: string): string | undefined => lookup(this.p, state, name)
    const words = expandWords(command.words, find)
    for (const { name, value } of command.assignments) {
      const text = expandText(value, find)
      yield* this.traced(`${name}=${text === '' ? '' : shownWord(text)}`)
      state.variables.set(name, text)
      if (words.length > 0) state.exported.add(name)
    }
    if (words.length > 0) yield* this.traced(words.map(shownWord).join(' '))
    return words
  }

  /** `set -x` */
  private *traced(text: string): Generator<unknown, void> {
    if (this.state.trace) yield* writeAll(this.p, STDERR, `+ ${text}\n`)
  }

  /** A command of its own: a builtin here, a program in a child. */
  private *simple(command: Simple): Call {
    const find = (name: string): string | undefined => lookup(this.p, this.state, name)
    const [name] = expandWords(command.words.slice(0, 1), find)
    const own = builtin(name)
    if (name !== undefined && own === undefined) {
      // a trace is the shell's own: it comes before the fork
      const words = expandWords(command.words, find)
      if (command.assignments.length === 0) yield* this.traced(words.map(shownWord).join(' '))
      const pid = yield* this.fork((shell) => {
        if (command.assignments.length === 0) shell.state.trace = false
        return shell.inChild(command)
      }, undefined)
      return yield* this.foreground([pid])
    }
    const words = yield* this.prepare(command)
    if (own === undefined && command.redirections.length === 0) return 0
    const saved = yield* this.save(command.redirections)
    let status = 1
    if (yield* this.redirect(command.redirections))
      status = own === undefined ? 0 : yield* own(this.p, this.state, words, this.where())
    for (const [fd, copy] of saved.reverse()) {
      if (copy >= 0) yield* this.move(copy, fd)
      else yield* this.p.close(fd)
    }
    return status
  }

  /** Copies of the descriptors a builtin's redirections take away for its time. */
  private *save(redirections: readonly Redirection[]): Generator<unknown, [number, number][]> {
    const saved: [number, number][] = []
    for (const { fd } of redirections) {
      if (saved.some(([known]) => known === fd)) continue
      saved.push([fd, yield* this.p.syscall('fcntl', fd, F_DUPFD, SAVED_FROM)])
    }
    return saved
  }

  /** @returns whether all could be done; what could not has been complained of */
  private *redirect(redirections: readonly Redirection[]): Generator<unknown, boolean> {
    const { p } = this
    for (const { fd, op, target } of redirections) {
      const name = expandText(target, (variable) => lookup(p, this.state, variable))
      if (op === '>&') {
        const result = name === '-' ? yield* p.close(fd) : yield* p.syscall('dup2', Number(name), fd)
        if (result >= 0) continue
        yield* complain(p, `${this.where()}${name}: ${strerror(-result)}`)
        return false
      }
      const file = yield* p.open(name, OPEN_FLAGS[op], 0o666)
      if (file < 0) {
        yield* complain(p, `${this.where()}${name}: ${strerror(-file)}`)
        return false
      }
      yield* this.move(file, fd)
    }
    return true
  }

  /** The program instead of this process. Comes back only when there is none. @returns exit status */
  private *exec(words: readonly string[]): Call {
    const { p, state } = this
    const [name = ''] = words
    const error = -(yield* execvpe(p, words, environment(state)))
    if (error === ENOEXEC) {
      const text = yield* readText(p, name)
      if (text !== undefined && text !== '') return yield* this.runScript(words, text)
    }
    const problem =
      error === ENOENT && !name.includes('/')
        ? `${name}: command not found`
        : error === ENOEXEC
          ? `${name}: cannot execute binary file: ${strerror(ENOEXEC)}`
          : `${name}: ${strerror(error)}`
    yield* complain(p, `${this.where()}${problem}`)
    return error === ENOENT ? NOT_FOUND : error === EACCES || error === ENOEXEC ? NOT_EXECUTABLE : 1
  }

  /** A script without a `#!` line is run by the shell that found it. */
  private *runScript(words: readonly string[], text: string): Call {
    const state = { ...this.state, name: words[0] ?? '', args: words, interactive: false, script: true }
    const shell = new Shell(this.p, state, this.plan)
    return yield* shell.run(text)
  }
}

const OPEN_FLAGS = {
  '<': O_RDONLY,
  '>': O_WRONLY | O_CREAT | O_TRUNC,
  '>>': O_WRONLY | O_CREAT | O_APPEND,
} as const

/** The items from here that belong together: up to the next `;`. */
function groupAt(list: List, from: number): Item[] {
  let to = from + 1
  while (to < list.length && list[to]?.join !== ';') to++
  return list.slice(from, to)
}
