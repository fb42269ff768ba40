/** What a shell knows: variables, its last command, its jobs. A copy goes with every fork. */

import type { Process } from '../process.ts'

/** A job in the background. */
export interface Job {
  readonly number: number
  /** Of its last process, as `$!` has it. */
  readonly pid: number
  readonly pids: Set<number>
  readonly text: string
  /** As wait(2) has it, of the last process. */
  status: number | undefined
}

export interface ShellState {
  /** How its complaints begin. */
  name: string
  /** `$$`: of the shell, in its subshells, too */
  readonly pid: number
  /** `$0` and the arguments. */
  readonly args: readonly string[]
  /** At a terminal: jobs are announced. */
  readonly interactive: boolean
  /** Of a script: complaints have the line. */
  readonly script: boolean
  readonly variables: Map<string, string>
  readonly exported: Set<string>
  readonly jobs: Map<number, Job>
  status: number
  lastPid: number | undefined
  /** `set -x` */
  trace: boolean
  /** `set -e` */
  errexit: boolean
  line: number
  /** `exit` was called with it. */
  exit: number | undefined
}

export function newState(
  p: Process,
  options: Pick<ShellState, 'name' | 'args' | 'interactive' | 'script'>,
): ShellState {
  const variables = new Map<string, string>()
  for (const word of p.envp) {
    const at = word.indexOf('=')
    if (at > 0) variables.set(word.slice(0, at), word.slice(at + 1))
  }
  return {
    ...options,
    pid: p.pid,
    variables,
    exported: new Set(variables.keys()),
    jobs: new Map(),
    status: 0,
    lastPid: undefined,
    trace: false,
    errexit: false,
    line: 1,
    exit: undefined,
  }
}

/** What a child begins with: everything but the jobs. */
export const forkState = (state: ShellState): ShellState => ({
  ...state,
  variables: new Map(state.variables),
  exported: new Set(state.exported),
  jobs: new Map(),
})

/** A variable, or one of the shell's own. */
export function lookup(p: Process, state: ShellState, name: string): string | undefined {
  switch (name) {
    case '?':
      return String(state.status)
    case '!':
      return state.lastPid === undefined ? undefined : String(state.lastPid)
    case '$':
      return String(state.pid)
    case '#':
      return String(Math.max(state.args.length - 1, 0))
    case '@':
    case '*':
      return state.args.slice(1).join(' ')
    default:
      return /^\d$/.test(name) ? state.args[Number(name)] : state.variables.get(name)
  }
}

/** `NAME=value` of what is exported. */
export const environment = (state: ShellState): string[] =>
  [...state.exported].flatMap((name) => {
    const value = state.variables.get(name)
    return value === undefined ? [] : [`${name}=${value}`]
  })

/** Exit status of what wait(2) says: 128 and the signal for what one has ended. */
export const exitStatus = (status: number): number =>
  (status & 0x7f) === 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
