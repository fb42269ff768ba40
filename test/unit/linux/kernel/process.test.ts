import { beforeEach, describe, expect, it } from 'vitest'
import { ECHILD, EPIPE, ESRCH } from '../../../../src/abi/errno.ts'
import { SIGINT, SIGKILL, SIGPIPE, SIGUSR1, SIG_IGN } from '../../../../src/abi/signal.ts'
import { file_row, for_each_file, task_dir } from '../../../../src/helpers/fs.ts'
import { for_each_vma, vma_range } from '../../../../src/helpers/mm.ts'
import { children, find_task, for_each_task } from '../../../../src/helpers/pid.ts'
import { task_comm, task_cpu, task_pid } from '../../../../src/helpers/task.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { exits } from '../../../../src/linux/kernel/exit.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { runUntil, runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { newTerminal } from '../../../../src/linux/drivers/tty/pty.ts'
import { nr_free_pages } from '../../../../src/linux/mm/page_alloc.ts'
import { validate_list } from '../../../../src/structures/list.ts'
import { spawn, startInit } from '../../../../src/userland/init.ts'
import type { Process, Program } from '../../../../src/userland/process.ts'
import { liveTarget } from '../../../support/live-target.ts'
import { bootedMachine } from '../../../support/machine.ts'

let k: Kernel
beforeEach(() => {
  k = bootedMachine()
  if (find_task_by_vpid(k, 1)?.mm === null) startInit(k)
})

const IMAGE = {
  path: '/root/lup/target/debug/test',
  argv: ['test', '-l'],
  envp: ['A=b'],
  vszKb: 13160,
  rssKb: 4652,
}

function start(program: Program, pid = 106445): void {
  spawn(k, { image: IMAGE, program, pid, cwd: '/root/lup/target/debug', tty: 2, cpu: 1 })
  runUntilIdle(k)
}

const asleep: Program = function* (p) {
  yield* p.syscall('pause')
  return 0
}

const text = (bytes: Uint8Array | number): string | number =>
  typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString()

describe('two processes', () => {
  const seen: unknown[] = []
  const parent: Program = function* (p) {
    const [r, w] = yield* p.pipe()
    const child = yield* p.fork(function* (c) {
      yield* c.close(w)
      seen.push(['child', c.pid, text(yield* c.read(r, 16))])
      return 7
    })
    yield* p.close(r)
    yield* p.sleep(1_000_000)
    yield* p.write(w, 'x')
    const { pid, status } = yield* p.wait(child)
    seen.push(['parent', pid === child, status])
    seen.push((yield* p.wait()).pid)
    yield* p.write(1, 'done\n')
    return yield* asleep(p)
  }

  it('a byte goes through the pipe, the status comes back by wait', () => {
    seen.length = 0
    let out = ''
    newTerminal(k, 2).output = (bytes) => (out += Buffer.from(bytes).toString())
    start(parent)
    expect(seen).toEqual([['child', 106446, 'x'], ['parent', true, 7 << 8], -ECHILD])
    expect(out).toBe('done\n')
    expect(find_task_by_vpid(k, 106446)).toBeNull()
  })

  it('reads back from a dump: task, files, directory, mappings, family', () => {
    start(parent)
    const target = liveTarget(k)
    const task = find_task(target, 106445)
    if (task === null) throw new Error('no such task')
    expect([task_comm(task), task_cpu(task), task_dir(task, 'pwd')]).toEqual([
      'test',
      1,
      '/root/lup/target/debug',
    ])
    const rows = [...for_each_file(task)].map((open) => file_row(target, open))
    expect(rows.map(({ fd, type, path }) => [fd, type, path])).toEqual([
      [0, 'CHR ', '/dev/pts/2'],
      [1, 'CHR ', '/dev/pts/2'],
      [2, 'CHR ', '/dev/pts/2'],
      [4, 'FIFO', ''],
    ])
    expect(new Set(rows.slice(0, 3).map(({ file }) => file)).size).toBe(1)
    const mm = task.$ref('mm')
    if (mm === null) throw new Error('no mm')
    const pages = [...for_each_vma(mm)].reduce(
      (n, vma) => n + (vma_range(vma).end - vma_range(vma).start) / 4096,
      0,
    )
    expect(BigInt(pages)).toBe(mm.$int('total_vm'))
    expect(mm.$int('total_vm') * 4n).toBe(13160n)
    const init = find_task(target, 1)
    if (init === null) throw new Error('no init')
    expect([...children(init)].map(task_pid)).toContain(106445)
    const all = [...for_each_task(target)].map(task_pid)
    expect(all.filter((pid) => pid > 0)).toEqual(
      [...new Set(all.filter((pid) => pid > 0))].sort((a, b) => a - b),
    )
  })

  it('leaves the lists whole', () => {
    start(parent)
    for (const task of [
      k.global('init_task', 'task_struct'),
      find_task_by_vpid(k, 1),
      find_task_by_vpid(k, 106445),
    ]) {
      if (task === null) throw new Error('no such task')
      for (const list of ['tasks', 'children'] as const) {
        expect(validate_list(k.mem, task[list].$va).faults).toEqual([])
      }
    }
  })
})

describe('exit', () => {
  it('an orphan is the first process’s child and is reaped by it', () => {
    start(function* (p) {
      yield* p.fork(function* (c) {
        yield* c.sleep(10_000_000)
        return 3
      })
      return 0
    })
    runUntil(k, k.clock.nowNs + 50_000_000)
    expect([exits(k).get(106445), exits(k).get(106446)]).toEqual([0, 3 << 8])
    expect(find_task_by_vpid(k, 106446)).toBeNull()
  })

  it('frees what it had: forty children leave no tasks, pages or files behind', () => {
    const left: unknown[] = []
    start(function* (p: Process) {
      for (let i = 0; i < 40; i++) {
        const child = yield* p.fork(function* (c) {
          yield* c.write(1, 'here')
          return 0
        })
        yield* p.wait(child)
        // slabs keep a few empty pages, so look again when they have settled
        if (i >= 30)
          left.push([nr_free_pages(k), k.global('nr_files', 'percpu_counter').$int('count')].join())
      }
      return yield* asleep(p)
    })
    expect([...new Set(left)]).toHaveLength(1)
  })
})

describe('signals', () => {
  it.each([
    [SIGINT, SIGINT],
    [SIGKILL, SIGKILL],
  ])('signal %i ends a sleeping process', (sig, code) => {
    start(asleep)
    start(function* (p) {
      return yield* p.kill(106445, sig)
    }, 200)
    expect(exits(k).get(106445)).toBe(code)
  })

  it('a handler runs, and the call it interrupted gives EINTR', () => {
    const seen: unknown[] = []
    start(function* (p) {
      yield* p.signal(SIGUSR1, function* (handler, sig) {
        seen.push(sig, yield* handler.syscall('getpid'))
      })
      seen.push(yield* p.syscall('pause'))
      return 0
    })
    start(function* (p) {
      return yield* p.kill(106445, SIGUSR1)
    }, 200)
    expect(seen).toEqual([SIGUSR1, 106445, -4])
  })

  it('writing into a pipe nobody reads: SIGPIPE, or EPIPE when that is ignored', () => {
    const write: (ignored: boolean) => Program = (ignored) =>
      function* (p) {
        if (ignored) yield* p.signal(SIGPIPE, SIG_IGN)
        const [r, w] = yield* p.pipe()
        yield* p.close(r)
        return -(yield* p.write(w, 'x'))
      }
    start(write(false), 300)
    start(write(true), 301)
    expect([exits(k).get(300), exits(k).get(301)]).toEqual([SIGPIPE, EPIPE << 8])
  })

  it('no such process is ESRCH', () => {
    start(function* (p) {
      return -(yield* p.kill(4711, SIGINT))
    })
    expect(exits(k).get(106445)).toBe(ESRCH << 8)
  })
})
