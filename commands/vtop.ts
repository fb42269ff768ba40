import type { Va } from '../src/base/addr.ts'
import { hex, addr } from '../src/base/addr.ts'
import { UsageError } from '../src/base/errors.ts'
import { addressArgument } from '../src/crash/address-argument.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { currentTask, tasksOfWords } from '../src/crash/task-words.ts'
import { kernelVtop, userVtop, type VtopJson } from '../src/crash/vtop-text.ts'
import type { Target } from '../src/target/target.ts'

/** User addresses lie below this on x86-64 with four-level tables; with five, below 2^56. */
const USER_END = 2 ** 47
const USER_END_LA57 = 2 ** 56

/** Rows: {@link VtopJson} each. */
export default class Vtop extends DumpCommand {
  static override summary = 'virtual to physical: page tables, entry, VMA and page of an address'
  static override synopsis = 'vtop [-c [pid | taskp]] [-u|-k] address ...'
  static override examples = ['vtop ffffffffc03d32c0', 'vtop 400000', 'vtop -c 178 10000000']
  static override crashFlags = {
    c: { kind: 'value', summary: 'in the address space of this task' },
    u: { kind: 'boolean', summary: 'the addresses are user addresses' },
    k: { kind: 'boolean', summary: 'the addresses are kernel addresses' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Vtop>): Report {
    if (words.length === 0) throw new Misuse()
    if (flags.u === true && flags.k === true)
      throw new UsageError('-u -k', '-u and -k options are mutually exclusive')
    const task =
      flags.c === undefined ? currentTask(target, context) : tasksOfWords(target, context, [flags.c], note)[0]
    if (task === undefined) return { rows: [], text: '', failed: true }
    // foreach keeps one header for all its tasks
    const headers = context.kept.get('foreach')
    const once = headers instanceof Set ? (headers as Set<string>) : new Set<string>()
    const rows: VtopJson[] = []
    let failed = false
    const text = function* (): Generator<string> {
      for (const word of words) {
        const va = addressArgument(target, word)
        const space = flags.u === true ? 'user' : flags.k === true ? 'kernel' : spaceOf(target, va)
        const header = !once.has('page')
        const answer =
          space === 'user' ? userVtop(target, task.task, va, header) : kernelVtop(target, va, header)
        if (answer.hasPage) once.add('page')
        failed ||= answer.failed
        yield (rows.length > 0 ? '\n' : '') + answer.text
        rows.push(answer.rows)
      }
    }
    return { rows, text: text(), get failed() { return failed } } // prettier-ignore
  }
}

/** Which half an address lies in. @throws UsageError for the hole between them */
function spaceOf(target: Target, va: Va): 'user' | 'kernel' {
  if (target.wordSize === 4) return va >= target.pageOffset ? 'kernel' : 'user'
  if (va < 0 && va >= target.pageOffset) return 'kernel'
  const end = target.space.mode === 'x86_64-la57' ? USER_END_LA57 : USER_END
  if (va >= 0 && va < end) return 'user'
  const text = Number.isNaN(va) ? 'not canonical' : hex(addr(va))
  throw new UsageError(text, `ambiguous address: ${text}  (requires -u or -k)`)
}
