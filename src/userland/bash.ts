/**
 * The shell: at a terminal it reads a line, does what the line says, and waits for what it started in the foreground;
 * with an argument it runs a script. A scenario may hand it a program to start instead of a line to understand.
 */

import type { ExecImage } from '../linux/fs/exec.ts'
import { strerror } from '../abi/errno.ts'
import type { Process, Program } from './process.ts'
import { reapJobs } from './shell/jobs.ts'
import { Shell, type ForkPlan } from './shell/run.ts'
import { newState } from './shell/state.ts'
import { complain, nameOf, readText } from './stdio.ts'

const LINE_MAX = 16_384
/** wait4(2): also children that stopped. */
const WUNTRACED = 2
const NOT_FOUND = 127
const MISUSE = 2

/** A program to start. */
export interface Job {
  readonly image: ExecImage
  readonly program: Program
  readonly pid?: number
  readonly cpu?: number
  /** Told by the child, as its first act. */
  readonly begun: (pid: number) => void
}

/** A line to run. */
export interface Line {
  readonly text: string
  /** What its forks get, in their order. */
  readonly plan: ForkPlan
  /** Told when everything in the foreground has ended. */
  readonly ended: (status: number) => void
}

/** A shell's orders from outside. */
export class Jobs {
  readonly queue: (Job | Line)[] = []
  /** It waits for a program and reads no line. */
  busy = false
}

/** A shell at its terminal. @param argv with its name, for complaints */
export const bash = (jobs: Jobs, argv: readonly string[] = ['bash']): Program =>
  function* (p) {
    let plan: ForkPlan = () => ({})
    const state = newState(p, {
      name: argv[0] ?? 'bash',
      args: argv.slice(0, 1),
      interactive: true,
      script: false,
    })
    const shell = new Shell(p, state, () => plan())
    for (;;) {
      const typed = yield* p.read(0, LINE_MAX)
      if (typeof typed === 'number' || typed.length === 0) return state.status
      const order = jobs.queue.shift()
      jobs.busy = true
      if (order === undefined) yield* shell.run(Buffer.from(typed).toString('utf8'))
      else if ('program' in order) yield* runJob(p, order)
      else {
        plan = order.plan
        const status = yield* shell.run(order.text)
        plan = () => ({})
        yield* reapJobs(p, state)
        order.ended(status)
      }
      jobs.busy = false
      if (state.exit !== undefined) return state.exit
    }
  }

function* runJob(p: Process, job: Job): Generator<unknown, void> {
  const pid = yield* p.fork(child(job), {
    ...(job.pid !== undefined && { pid: job.pid }),
    ...(job.cpu !== undefined && { cpu: job.cpu }),
  })
  while ((yield* p.wait(-1, WUNTRACED)).pid !== pid && pid > 0) continue
}

const child = ({ image, program, begun }: Job): Program =>
  function* (p) {
    begun(p.pid)
    return yield* p.exec(image, program)
  }

/** `bash [-xe] FILE [ARGUMENT…]`, `bash [-xe] -c TEXT`, and without either what standard input has. */
export const script = (argv: readonly string[], plan: ForkPlan): Program =>
  function* (p) {
    const own = nameOf(argv)
    const words = argv.slice(1)
    let [trace, errexit, given] = [false, false, false]
    while (words[0]?.startsWith('-') === true) {
      const letters = (words.shift() as string).slice(1)
      if (!/^[xec]+$/.test(letters)) {
        yield* complain(p, `${own}: -${letters}: invalid option`)
        return MISUSE
      }
      trace ||= letters.includes('x')
      errexit ||= letters.includes('e')
      given ||= letters.includes('c')
    }
    const [first] = words
    const text = given ? first : yield* readText(p, first ?? '/dev/stdin')
    if (text === undefined) {
      yield* complain(p, `${own}: ${first ?? '/dev/stdin'}: ${strerror(2)}`)
      return NOT_FOUND
    }
    const args = given ? [own, ...words.slice(1)] : words.length === 0 ? [own] : words
    const state = newState(p, { name: args[0] ?? own, args, interactive: false, script: true })
    state.trace = trace
    state.errexit = errexit
    return yield* new Shell(p, state, plan).run(text)
  }
