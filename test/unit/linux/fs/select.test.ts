/** select and poll: what wakes them, when they give up, and what lies on the stack while they sleep. */

import { describe, expect, test } from 'vitest'
import { toVa } from '../../../../src/base/addr.ts'
import { EBADF } from '../../../../src/abi/errno.ts'
import { EPOLLHUP, EPOLLIN, EPOLLNVAL } from '../../../../src/abi/poll.ts'
import type { wait_queue_entry } from '../../../../src/btf/vmlinux.ts'
import { lookup_fd } from '../../../../src/linux/fs/file.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { runUntilIdle } from '../../../../src/linux/kernel/sched/run.ts'
import { threadOf } from '../../../../src/linux/kernel/sched/thread.ts'
import { list_for_each_entry } from '../../../../src/structures/list.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { machineWithInit, runProgram } from '../../../support/programs.ts'

/** An `fd_set` of 128 bytes with some bits set. */
function fdSet(p: Process, fds: readonly number[]): number {
  const bytes = Buffer.alloc(128)
  for (const fd of fds) bytes[fd >>> 3] = (bytes[fd >>> 3] ?? 0) | (1 << (fd & 7))
  return p.data(bytes)
}

const time = (p: Process, sec: number, fraction: number): number => {
  const bytes = Buffer.alloc(16)
  bytes.writeBigInt64LE(BigInt(sec), 0)
  bytes.writeBigInt64LE(BigInt(fraction), 8)
  return p.data(bytes)
}

describe('select', () => {
  test('sleeps with an entry on the pipe, and wakes when a byte comes', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const child = yield* p.fork(function* (c) {
        const readable = fdSet(c, [r])
        seen.push(yield* c.syscall('pselect6', r + 1, readable, 0, 0, 0, 0), c.readInt(readable))
        seen.push(yield* c.read(r, 8))
        return 0
      })
      yield* p.sleep(5_000_000)
      const task = find_task_by_vpid(k, child)
      const files = task?.files
      if (task === null || files === null || files === undefined) throw new Error('no child')
      const pipe = k.ref('pipe_inode_info', lookup_fd(k, r, files)?.private_data ?? 0n)
      const [entry] = list_for_each_entry(k.types, k.mem, pipe.rd_wait.head.$va, 'wait_queue_entry', 'entry')
      const { func, private: pwq } = entry as wait_queue_entry
      const table = k.ref('poll_wqueues', pwq)
      const stack = toVa(task.stack)
      seen.push(func === k.sym('pollwake'), table.inline_index, table.polling_task?.pid === child)
      seen.push(table.$va > stack && table.$va < stack + 16384, table.inline_entries.ref(0)?.$int('key'))
      seen.push(threadOf(k, task).frames.map(({ name }) => name))
      yield* p.write(w, 'x')
      yield* p.wait(child)
      return 0
    })
    expect(seen.slice(0, 5)).toEqual([true, 1, true, true, 0xfbn])
    expect((seen[5] as string[]).slice(-7)).toEqual([
      '__x64_sys_pselect6',
      'do_pselect.constprop.0',
      'core_sys_select',
      'do_select',
      'schedule_hrtimeout_range_clock',
      'schedule',
      '__schedule',
    ])
    expect(seen.slice(6)).toEqual([1, 1 << 0, new Uint8Array([120])])
  })

  test('gives up when the time has come: nothing is ready, nothing is left', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r] = yield* p.pipe()
      const readable = fdSet(p, [r])
      const limit = time(p, 0, 20_000)
      const before = k.clock.nowNs
      seen.push(yield* p.syscall('select', r + 1, readable, 0, 0, limit), p.readInt(readable))
      const took = k.clock.nowNs - before
      seen.push(took >= 20_000_000 && took < 21_000_000, p.readInt(limit), p.readInt(limit + 8))
      return 0
    })
    runUntilIdle(k)
    expect(seen).toEqual([0, 0, true, 0, 0])
  })

  test('no time at all: a look, no wait queue entry; a descriptor that is closed: EBADF', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const writable = fdSet(p, [w])
      seen.push(
        yield* p.syscall('pselect6', w + 1, fdSet(p, [r]), writable, 0, time(p, 0, 0), 0),
        p.readInt(writable),
      )
      seen.push(yield* p.syscall('pselect6', 10, fdSet(p, [9]), 0, 0, time(p, 0, 0), 0))
      return 0
    })
    expect(seen).toEqual([1, 1 << 1, -EBADF])
  })
})

describe('poll', () => {
  test('answers for each descriptor: ready, closed, hung up', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const [hung, other] = yield* p.pipe()
      yield* p.close(other)
      yield* p.write(w, 'x')
      const fds = [r, 99, hung]
      const list = Buffer.alloc(24)
      fds.forEach((fd, i) => {
        list.writeInt32LE(fd, i * 8)
        list.writeInt16LE(EPOLLIN, i * 8 + 4)
      })
      const at = p.data(list)
      seen.push(yield* p.syscall('poll', at, 3, -1))
      for (let i = 0; i < 3; i++) seen.push(p.readInt(at + i * 8 + 6, 2))
      return 0
    })
    expect(seen).toEqual([3, EPOLLIN, EPOLLNVAL, EPOLLHUP])
  })

  test('more files than fit on the stack wait in pages, and all leave their queues', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const ends: number[] = []
      for (let i = 0; i < 12; i++) ends.push((yield* p.pipe())[0])
      const list = Buffer.alloc(12 * 8)
      ends.forEach((fd, i) => {
        list.writeInt32LE(fd, i * 8)
        list.writeInt16LE(EPOLLIN, i * 8 + 4)
      })
      seen.push(yield* p.syscall('poll', p.data(list), 12, 10))
      const file = lookup_fd(k, ends[11] ?? 0)
      const pipe = k.ref('pipe_inode_info', file?.private_data ?? 0n)
      seen.push([...list_for_each_entry(k.types, k.mem, pipe.rd_wait.head.$va, 'wait_queue_entry', 'entry')])
      seen.push(file?.f_count.$int('counter'))
      return 0
    })
    expect(seen).toEqual([0, [], 1n])
  })
})
