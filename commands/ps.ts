import { UsageError } from '../src/base/errors.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { psReport } from '../src/crash/ps.ts'

const EXCLUSIVE = ['a', 't', 'c', 'p', 'g', 'l', 'm', 'S', 'r', 'A'] as const

/**
 * Rows:
 * - {@link PsRow} each
 * - `-p`: {@link PsAncestorsRow} each
 * - `-c`: {@link PsChildrenRow} each
 * - `-g`: {@link PsThreadsRow} each
 * - `-t`: {@link PsTimesRow} each
 * - `-l` and `-m`: {@link PsLastRunRow} each
 * - `-r`: {@link PsLimitsRow} each
 * - `-a`: {@link PsArgumentsRow} each
 * - `-S`: an object, how many tasks by state
 */
export default class Ps extends DumpCommand {
  static override summary = 'tasks: pid, parent, CPU, state, memory, name; families, times, limits, arguments'
  static override synopsis =
    'ps [-k|-u|-G|-y policy] [-s] [-p|-c|-t|-[l|m][-C cpu]|-a|-g|-r|-S|-A|-H]\n     [pid | task | command] ...'
  static override examples = ['ps', 'ps -k', 'ps ncat', 'ps -p 178', 'ps -l', "ps 'zoo.*'"]
  static override crashFlags = {
    k: { summary: 'kernel threads only' },
    u: { summary: 'user tasks only' },
    G: { summary: 'processes only: the leaders of their threads' },
    y: { kind: 'value', summary: 'tasks of a scheduling policy, by name or number (several with commas)' },
    s: { summary: 'kernel stack pointers in place of task addresses' },
    p: { summary: 'the ancestors of each task' },
    c: { summary: 'the children of each task' },
    t: { summary: 'run time, start time, user and system time' },
    l: { summary: 'when each task last got a CPU, the latest first' },
    m: { summary: 'how long ago that was' },
    C: { kind: 'value', summary: 'with -l and -m: the tasks of these CPUs' },
    a: { summary: 'command line and environment' },
    g: { summary: 'the threads of each process' },
    r: { summary: 'resource limits' },
    S: { summary: 'how many tasks are in each state' },
    A: { summary: 'running tasks only' },
    H: { summary: 'without the heading' },
  } as const

  override show(invocation: Invocation<typeof Ps>): Report {
    const { flags, words } = invocation
    if (flags.u && flags.k) throw new UsageError('-k', '-u and -k are mutually exclusive')
    const given = EXCLUSIVE.filter((flag) => flags[flag])
    if (given.length > 1) {
      const all = '-a, -t, -c, -p, -g, -l, -m, -S, -r and -A flags are all mutually-exclusive'
      throw new UsageError(`-${given.join('')}`, all)
    }
    if (flags.S && words.length > 0) throw new UsageError('-S', '-S option takes no arguments')
    if (flags.S && (flags.u || flags.k || flags.G)) {
      throw new UsageError('-S', '-S option cannot be used with other options')
    }
    if (flags.G && (flags.l || flags.m)) {
      throw new UsageError('-G', `-G not supported with -${flags.l ? 'l' : 'm'} option`)
    }
    if (flags.C !== undefined && !flags.l && !flags.m) {
      throw new UsageError('-C', '-C option is only applicable with -l and -m')
    }
    return psReport(invocation)
  }
}
