import { describe, expect, it } from 'vitest'
import { EXIT_ZOMBIE } from '../../../../src/abi/sched.ts'
import { for_each_task, find_task } from '../../../../src/helpers/pid.ts'
import { for_each_file, file_path } from '../../../../src/helpers/fs.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { spawn, startInit } from '../../../../src/userland/init.ts'
import type { Program } from '../../../../src/userland/process.ts'
import { validate_list } from '../../../../src/structures/list.ts'
import { bootedMachine } from '../../../support/machine.ts'

describe('processes', () => {
  it('parent forks child, pipes a byte, waits', () => {
    const k = bootedMachine()
    startInit(k)
    const seen: unknown[] = []
    const program: Program = function* (p) {
      const [r, w] = yield* p.pipe()
      const child = yield* p.fork(function* (c) {
        yield* c.close(w)
        const bytes = yield* c.read(r, 16)
        seen.push(['child', c.pid, typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString()])
        return 7
      })
      yield* p.close(r)
      yield* p.sleep(1_000_000)
      yield* p.write(w, 'x')
      const { pid, status } = yield* p.wait(child)
      seen.push(['parent', pid === child, status])
      yield* p.write(1, 'done\n')
      yield* p.syscall('pause')
      return 0
    }
    spawn(k, {
      image: { path: '/root/lup/test', argv: ['test'], envp: [], vszKb: 13160, rssKb: 4652 },
      program,
      pid: 106445,
      cwd: '/root/lup',
      tty: 2,
      cpu: 1,
    })
    runUntilIdle(k)
    expect(seen).toEqual([
      ['child', 106446, 'x'],
      ['parent', true, 7 << 8],
    ])
    const ring = k.global('init_task', 'task_struct').tasks.$va
    expect(validate_list(k.mem, ring).faults).toEqual([])
    const kernel = { mem: k.mem, types: k.types, symbols: k.symbols } as never
    void [for_each_task, find_task, for_each_file, file_path, kernel, EXIT_ZOMBIE, find_task_by_vpid]
  })
})
