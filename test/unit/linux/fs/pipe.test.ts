/** Pipes between two processes: what goes through, who waits, what lies in memory meanwhile. */

import { describe, expect, test } from 'vitest'
import { EAGAIN, EPIPE } from '../../../../src/abi/errno.ts'
import { O_NONBLOCK } from '../../../../src/abi/fcntl.ts'
import { SIG_IGN, SIGPIPE } from '../../../../src/abi/signal.ts'
import { lookup_fd } from '../../../../src/linux/fs/file.ts'
import { list_for_each_entry, validate_list } from '../../../../src/structures/list.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { find_task_by_vpid } from '../../../../src/linux/kernel/pid.ts'
import { machineWithInit, runProgram } from '../../../support/programs.ts'

const text = (bytes: Uint8Array | number): string | number =>
  typeof bytes === 'number' ? bytes : Buffer.from(bytes).toString()

function pipeAt(k: Kernel, pid: number, fd: number) {
  const files = find_task_by_vpid(k, pid)?.files
  const file = files === null || files === undefined ? null : lookup_fd(k, fd, files)
  if (file === null) throw new Error(`no descriptor ${fd}`)
  return { file, pipe: k.ref('pipe_inode_info', file.private_data) }
}

describe('a pipe', () => {
  test('a reader sleeps until there is something, then gets all of it', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const child = yield* p.fork(function* (c) {
        yield* c.close(w)
        seen.push(text(yield* c.read(r, 64)), text(yield* c.read(r, 64)))
        return 3
      })
      yield* p.close(r)
      yield* p.sleep(1_000_000)
      yield* p.write(w, 'one ')
      yield* p.write(w, 'two')
      yield* p.sleep(1_000_000)
      yield* p.close(w)
      const { status } = yield* p.wait(child)
      seen.push(status >> 8)
      return 0
    })
    expect(seen).toEqual(['one two', '', 3])
  })

  test('a small write is merged into the last page; a read page is kept for the next write', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const { pipe, file } = pipeAt(k, p.pid, r)
      yield* p.write(w, 'abc')
      yield* p.write(w, 'def')
      seen.push([pipe.head, pipe.tail, pipe.bufs?.len, pipe.bufs?.offset, pipe.bufs?.flags])
      const { page } = pipe.bufs as NonNullable<typeof pipe.bufs>
      seen.push(text(yield* p.read(r, 2)), pipe.bufs?.offset, text(yield* p.read(r, 9)))
      seen.push([pipe.head, pipe.tail, pipe.tmp_page?.$va === page?.$va, pipe.bufs?.ops])
      seen.push(file.f_op?.$addr === k.sym('pipefifo_fops'), file.f_inode?.i_pipe?.$va === pipe.$va)
      return 0
    })
    expect(seen).toEqual([[1, 0, 6, 0, 0x10], 'ab', 2, 'cdef', [1, 1, true, null], true, true])
  })

  test('a full ring makes the writer wait on wr_wait, exclusively, until somebody reads', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    const size = 16 * 4096 + 10
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      const child = yield* p.fork(function* (c) {
        yield* c.close(r)
        seen.push(['wrote', yield* c.write(w, Buffer.alloc(size, 'x'))])
        return 0
      })
      yield* p.close(w)
      yield* p.sleep(5_000_000)
      const { pipe } = pipeAt(k, p.pid, r)
      expect(validate_list(k.mem, pipe.wr_wait.head.$va).faults).toEqual([])
      const waiters = [
        ...list_for_each_entry(k.types, k.mem, pipe.wr_wait.head.$va, 'wait_queue_entry', 'entry'),
      ]
      seen.push(waiters.map(({ flags, private: task }) => [flags, k.ref('task_struct', task).pid === child]))
      let got = 0
      for (let n = 1; n > 0;) {
        const bytes = yield* p.read(r, 8192)
        n = typeof bytes === 'number' ? bytes : bytes.length
        got += n
      }
      seen.push(got)
      return 0
    })
    expect(seen).toEqual([[[1, true]], ['wrote', size], size])
  })

  test.each([
    ['ignores SIGPIPE: EPIPE', true, [-EPIPE]],
    ['does not: is killed', false, []],
  ])('a writer nobody reads from %s', (_case, ignores, expected) => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const child = yield* p.fork(function* (c) {
        if (ignores) yield* c.signal(SIGPIPE, SIG_IGN)
        const [r, w] = yield* c.pipe()
        yield* c.close(r)
        seen.push(yield* c.write(w, 'x'))
        return 0
      })
      const { status } = yield* p.wait(child)
      expect(status).toBe(ignores ? 0 : SIGPIPE)
      return 0
    })
    expect(seen).toEqual(expected)
  })

  test('O_NONBLOCK, given to pipe2 or set later: EAGAIN', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    runProgram(k, function* (p) {
      const fds = p.alloc(8)
      yield* p.must('pipe2', fds, O_NONBLOCK)
      seen.push(yield* p.read(p.readInt(fds), 1))
      const [r] = yield* p.pipe()
      seen.push(yield* p.syscall('fcntl', r, 4, O_NONBLOCK), yield* p.read(r, 1))
      return 0
    })
    expect(seen).toEqual([-EAGAIN, 0, -EAGAIN])
  })

  test('the last close frees the ring and gives the user its buffers back', () => {
    const k = machineWithInit()
    const seen: unknown[] = []
    const user = k.global('root_user', 'user_struct')
    const before = user.pipe_bufs.$int('counter')
    runProgram(k, function* (p) {
      const [r, w] = yield* p.pipe()
      seen.push(user.pipe_bufs.$int('counter') - before)
      yield* p.close(r)
      yield* p.close(w)
      seen.push(user.pipe_bufs.$int('counter') - before)
      return 0
    })
    expect(seen).toEqual([16n, 0n])
  })
})
