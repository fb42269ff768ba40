/** What the commands of one session share: the current task and crash's variables. */

import type { Va } from '../base/addr.ts'

/** Crash's session state (`set`, `set -v`); one per session, changed by commands, kept between them. */
export class Context {
  /** Address of the current `struct task_struct`; undefined until a command asked for the default (panic) task. */
  task: Va | undefined = undefined
  /** Output radix of `set radix`, `hex` and `dec`. */
  radix: 10 | 16 = 10
  /** Longest string or array printed by C values. */
  printMax = 256
  printArray = false
  /** `set scroll`: use a pager when the output is a terminal. */
  scroll = false
  refresh = true
  console: string | undefined = undefined
  debug = 0
  core = false
  hash = true
  silent = false
  edit: 'vi' | 'emacs' = 'vi'
  unwind = false
  zeroExcluded = false
  nullStop = false
  gdb = false
  scope = 0n
  offline: 'show' | 'hide' = 'show'
  redzone = true
  error = 'default'
  /** gdb's value history: the number of the last `$N`. */
  lastValueNumber = 0
  /** Room for a command's own state between its calls, by command name. */
  readonly kept = new Map<string, unknown>()
}
