/** Commands the shell does itself, because no other process could. @see bash(1), SHELL BUILTIN COMMANDS */

import { strerror } from '../../abi/errno.ts'
import { currentDirectory, echoText, killWords } from '../coreutils/small.ts'
import type { Process } from '../process.ts'
import { complain, print } from '../stdio.ts'
import { waitForJobs } from './jobs.ts'
import type { ShellState } from './state.ts'

/** @param words with the command's name in front @returns exit status */
export type Builtin = (
  p: Process,
  state: ShellState,
  words: readonly string[],
  where: string,
) => Generator<unknown, number>

// Most of these make no system call: a shell's variables are its own.
/* eslint-disable require-yield */
const BUILTINS: Readonly<Record<string, Builtin>> = {
  *':'() {
    return 0
  },
  *true() {
    return 0
  },
  *false() {
    return 1
  },
  *cd(p, state, [, word], where) {
    const back = word === '-' ? state.variables.get('OLDPWD') : undefined
    if (word === '-' && back === undefined) return yield* complain(p, `${where}cd: OLDPWD not set`)
    const target = back ?? word ?? state.variables.get('HOME') ?? '/'
    const from = yield* currentDirectory(p)
    const mark = p.mark()
    const result = yield* p.syscall('chdir', p.string(target))
    p.release(mark)
    if (result !== 0) return yield* complain(p, `${where}cd: ${target}: ${strerror(-result)}`)
    state.variables.set('OLDPWD', from)
    state.variables.set('PWD', yield* currentDirectory(p))
    if (back !== undefined) yield* print(p, `${target}\n`)
    return 0
  },
  *pwd(p) {
    yield* print(p, `${yield* currentDirectory(p)}\n`)
    return 0
  },
  *echo(p, _state, words) {
    yield* print(p, echoText(words.slice(1)))
    return 0
  },
  *exit(_p, state, [, word]) {
    state.exit = word === undefined ? state.status : Number(word) & 0xff
    return state.exit
  },
  *export(_p, state, words) {
    for (const word of words.slice(1)) {
      const [name = '', value] = word.split(/=(.*)/s)
      state.exported.add(name)
      if (value !== undefined) state.variables.set(name, value)
    }
    return 0
  },
  *unset(_p, state, words) {
    for (const word of words.slice(1)) {
      state.variables.delete(word)
      state.exported.delete(word)
    }
    return 0
  },
  *set(p, state, words, where) {
    for (const word of words.slice(1)) {
      const found = /^([-+])([xe]+)$/.exec(word)
      if (found === null) return (yield* complain(p, `${where}set: ${word}: invalid option`)) + 1
      for (const letter of found[2] ?? '') {
        if (letter === 'x') state.trace = found[1] === '-'
        else state.errexit = found[1] === '-'
      }
    }
    return 0
  },
  *kill(p, state, words, where) {
    const named = words.slice(1).map((word) => {
      const job = /^%(\d+)$/.exec(word)?.[1]
      return job === undefined ? word : String(state.jobs.get(Number(job))?.pid ?? word)
    })
    return yield* killWords(p, `${where}kill`, named)
  },
  *wait(p, state, words) {
    const pids = words.slice(1).map(Number)
    return yield* waitForJobs(p, state, pids)
  },
  *jobs(p, state) {
    for (const { number, text } of state.jobs.values())
      yield* print(p, `[${number}]+  ${'Running'.padEnd(24)}${text} &\n`)
    return 0
  },
}
/* eslint-enable require-yield */

export const builtin = (name: string | undefined): Builtin | undefined =>
  name !== undefined && Object.hasOwn(BUILTINS, name) ? BUILTINS[name] : undefined
