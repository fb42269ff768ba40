import { beforeEach, describe, expect, test } from 'vitest'
import { toAddr, type Va } from '../../../src/base/addr.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { Backtracer, type TraceEvent, type TraceOptions } from '../../../src/helpers/backtrace.ts'
import { cpu_notes } from '../../../src/helpers/registers.ts'
import { TaskTable } from '../../../src/helpers/tasks.ts'
import type { SymbolicKernel } from '../../../src/helpers/text.ts'
import type { SymbolSource } from '../../../src/symbols/symbol.ts'
import { SymbolTable } from '../../../src/symbols/table.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

const TEXT = -0x7f00_0000
const STACK_SIZE = 16384
const FUNCTIONS = [
  '__schedule',
  'schedule',
  'do_wait',
  'ksys_read',
  'do_syscall_64',
  'ret_from_fork',
  'panic',
]
/** Each function has so many bytes of text. */
const SPAN = 0x100

/** A kernel with some functions and one sleeping task (pid 5) beside the idle task. */
class StackKernel extends FlatKernel implements SymbolicKernel {
  readonly symbols: SymbolTable
  readonly task: StructRef
  readonly stack: Va
  readonly #named: { name: string; va: Va }[] = []

  constructor() {
    super()
    FUNCTIONS.forEach((name, i) => {
      this.symbol(name, TEXT + i * SPAN)
    })
    this.symbol('_stext', TEXT - SPAN)
    this.symbol('_etext', TEXT + FUNCTIONS.length * SPAN)
    this.symbols = new SymbolTable(this.#source(), 8)
    this.mem.map(TEXT, FUNCTIONS.length * SPAN)
    const idle: StructRef = this.make('task_struct')
    const rq: StructRef = this.make('rq')
    rq.$set('idle', idle)
    rq.$set('curr', idle)
    this.symbol('runqueues', rq.$va)
    this.task = this.make('task_struct')
    this.stack = this.room(STACK_SIZE, STACK_SIZE)
    this.task.$set('pid', 5)
    this.task.$set('tgid', 5)
    this.task.$set('stack', toAddr(this.stack))
    const ns: StructRef = this.make('pid_namespace')
    const pid: StructRef = this.make('pid')
    this.mem.setPointer(pid.$vaOf('tasks[0]'), this.task.$vaOf('pid_links[0]'))
    this.mem.setPointer(ns.$vaOf('idr.idr_rt.xa_head'), pid.$va)
    this.symbol('init_pid_ns', ns.$va)
  }

  override symbol(name: string, va: Va): void {
    super.symbol(name, va)
    this.#named.push({ name, va })
    this.#named.sort((a, b) => a.va - b.va)
  }

  /** An address inside a function: what a call in it returns to. */
  inside(name: string, offset = 0x20): Va {
    return TEXT + FUNCTIONS.indexOf(name) * SPAN + offset
  }

  /** Store words going up from an address. */
  words(at: Va, values: readonly (Va | bigint)[]): void {
    values.forEach((value, i) => {
      this.mem.setU64(at + i * 8, typeof value === 'number' ? toAddr(value) : value)
    })
  }

  /** What the scheduler leaves: six registers and the return address. @returns where that lies */
  switchedOut(at: Va, bp: Va): Va {
    this.task.$set('thread.sp', toAddr(at))
    const ret = at + this.types.offsetof('inactive_task_frame', 'ret_addr')
    this.mem.setPointer(ret - 8, bp)
    this.mem.setPointer(ret, this.inside('__schedule'))
    return ret
  }

  /** ORC rows for every function: the caller's frame is `size` bytes above the return address. */
  orc(sizes: Readonly<Record<string, number>>): void {
    // the rows say how far away the text is, in 32 bits
    const ips = TEXT + 0x10000
    const rows = TEXT + 0x11000
    this.mem.map(ips, 0x2000)
    FUNCTIONS.forEach((name, i) => {
      this.mem.setU32(ips + i * 4, (TEXT + i * SPAN - (ips + i * 4)) >>> 0)
      this.mem.setU16(rows + i * 6, (sizes[name] ?? 0) + 8)
      this.mem.setU8(rows + i * 6 + 4, 5)
    })
    this.symbol('__start_orc_unwind_ip', ips)
    this.symbol('__stop_orc_unwind_ip', ips + FUNCTIONS.length * 4)
    this.symbol('__start_orc_unwind', rows)
  }

  trace(options: TraceOptions = {}): TraceEvent[] {
    const table = new TaskTable(this)
    const context = table.byPid(5)[0]
    if (context === undefined) throw new Error('no task 5')
    return [...new Backtracer(table, this, cpu_notes([]), undefined).trace(context, options)]
  }

  #source(): SymbolSource {
    const named = this.#named
    const at = (i: number): { name: string; va: Va } => named[i] ?? { name: '', va: NaN }
    return {
      get count() {
        return named.length
      },
      va: (i) => at(i).va,
      name: (i) => at(i).name,
      type: () => 'T',
      absolute: () => false,
      find: (name) => named.flatMap((s, i) => (s.name === name ? [i] : [])),
      below: (va) => named.findLastIndex((s) => s.va <= va),
      entries: () => named.map((s, index) => ({ ...s, index, type: 'T' })),
    }
  }
}

let k: StackKernel

beforeEach(() => {
  k = new StackKernel()
})

const names = (events: readonly TraceEvent[]): string[] =>
  events.map((e) => (e.kind === 'frame' ? e.symbol.name : `<${e.kind}>`))

describe('frame pointers', () => {
  /** Frames linked by their saved frame pointers, with a stale address in each frame's locals. */
  function chain(functions: readonly string[]): Va {
    let frame = k.stack + STACK_SIZE - 0x400
    let above = 0
    for (const name of [...functions].reverse()) {
      k.words(frame, [above, k.inside(name)])
      k.words(frame - 0x10, [k.inside('panic')])
      above = frame
      frame -= 0x60
    }
    return above
  }

  test('the chain is followed, stale addresses are not frames', () => {
    const first = chain(['schedule', 'do_wait', 'do_syscall_64'])
    k.task.$set('flags', 0x200000)
    k.switchedOut(first - 0x100, first)
    expect(names(k.trace())).toEqual(['__schedule', 'schedule', 'do_wait', 'do_syscall_64'])
  })

  test('a chain that leaves the stack: the next text address is taken', () => {
    const first = chain(['schedule', 'do_wait'])
    k.task.$set('flags', 0x200000)
    k.mem.setPointer(first, -4096)
    k.switchedOut(first - 0x100, first)
    expect(names(k.trace()).slice(0, 3)).toEqual(['__schedule', 'schedule', 'panic'])
  })

  test('every return address with the old method', () => {
    const first = chain(['schedule', 'do_wait'])
    k.task.$set('flags', 0x200000)
    k.switchedOut(first - 0x30, first)
    expect(names(k.trace({ scan: true }))).toEqual(['__schedule', 'schedule', 'panic', 'do_wait'])
  })
})

describe('ORC', () => {
  beforeEach(() => {
    k.orc({ __schedule: 0x20, schedule: 0x8, do_wait: 0x40, ksys_read: 0x10 })
  })

  /** __schedule, schedule, do_wait, do_syscall_64 at the distances of their rows. */
  function sleeping(): Va {
    const ret = k.switchedOut(k.stack + STACK_SIZE - 0x400, 0)
    k.words(ret + 8, [k.inside('panic')])
    let at = ret
    at += 0x20 + 8
    k.words(at, [k.inside('schedule')])
    at += 0x8 + 8
    k.words(at, [k.inside('do_wait')])
    k.words(at + 0x18, [k.inside('panic')])
    at += 0x40 + 8
    k.words(at, [k.inside('do_syscall_64')])
    return ret
  }

  test('a kernel thread', () => {
    k.task.$set('flags', 0x200000)
    sleeping()
    const events = k.trace()
    expect(names(events)).toEqual(['__schedule', 'schedule', 'do_wait', 'do_syscall_64'])
    expect(events.map((e) => (e.kind === 'frame' ? e.level : -1))).toEqual([0, 1, 2, 3])
  })

  test('a user task ends in its registers', () => {
    sleeping()
    const regs: StructRef = k.types.ref('pt_regs', k.mem, k.stack + STACK_SIZE - k.types.sizeof('pt_regs'))
    regs.$set('ip', 0x401000n)
    regs.$set('cs', 0x33)
    const last = k.trace().at(-1)
    expect(last).toMatchObject({ kind: 'registers', at: regs.$va, symbol: undefined })
    expect(last?.kind === 'registers' ? last.regs.rip : 0n).toBe(0x401000n)
  })

  test('the words of each frame reach from the one before', () => {
    k.task.$set('flags', 0x200000)
    const ret = sleeping()
    const second = k.trace({ full: true })[1]
    if (second?.kind !== 'frame' || second.words === undefined) throw new Error('no words')
    expect([second.words.from, second.words.to]).toEqual([ret + 8, ret + 0x28])
    expect(second.words.stack.word(ret + 8)).toBe(toAddr(k.inside('panic')))
  })

  test('text addresses only', () => {
    k.task.$set('flags', 0x200000)
    sleeping()
    const found = names(k.trace({ textOnly: 'from start' }))
    expect(found).toEqual(['<start>', '__schedule', 'panic', 'schedule', 'do_wait', 'panic', 'do_syscall_64'])
    k.words(k.stack + 0x100, [k.inside('ksys_read')])
    expect(names(k.trace({ textOnly: 'all' }))[0]).toBe('ksys_read')
  })
})

describe('damage', () => {
  test('no stack any more', () => {
    k.task.$set('stack', 0n)
    expect(k.trace()).toEqual([{ kind: 'problem', text: '(no stack)' }])
  })

  test('a stack pointer that leads nowhere', () => {
    k.task.$set('thread.sp', 0x10n)
    expect(names(k.trace())).toEqual(['<problem>'])
  })

  test('a missing page in the stack reads as nothing', () => {
    k.task.$set('flags', 0x200000)
    k.switchedOut(k.stack + 0x100, 0)
    k.mem.unmap(k.stack + 0x2000)
    expect(names(k.trace())).toEqual(['__schedule'])
  })
})
