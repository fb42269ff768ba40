/** Descriptors: doubled, flagged, closed; reading and writing through vectors. */

import { expect, test } from 'vitest'
import { EBADF, EINVAL, ESPIPE } from '../../../../src/abi/errno.ts'
import { F_DUPFD, F_GETFD, F_GETFL, F_SETFD, O_CLOEXEC } from '../../../../src/abi/fcntl.ts'
import { lookup_fd } from '../../../../src/linux/fs/file.ts'
import type { Process } from '../../../../src/userland/process.ts'
import { machineWithInit, runProgram } from '../../../support/programs.ts'

function vector(p: Process, parts: readonly (readonly [number, number])[]): number {
  const bytes = Buffer.alloc(parts.length * 16)
  parts.forEach(([at, size], i) => {
    bytes.writeBigUInt64LE(BigInt(at), i * 16)
    bytes.writeBigUInt64LE(BigInt(size), i * 16 + 8)
  })
  return p.data(bytes)
}

test('dup and its relatives share one struct file', () => {
  const k = machineWithInit()
  const seen: unknown[] = []
  runProgram(k, function* (p) {
    const [r] = yield* p.pipe()
    const file = lookup_fd(k, r)
    const doubles = [
      yield* p.syscall('dup', r),
      yield* p.syscall('dup2', r, 20),
      yield* p.syscall('dup3', r, 21, O_CLOEXEC),
      yield* p.syscall('fcntl', r, F_DUPFD, 30),
    ]
    seen.push(
      doubles,
      doubles.every((fd) => lookup_fd(k, fd)?.$va === file?.$va),
      file?.f_count.$int('counter'),
    )
    seen.push(yield* p.syscall('fcntl', 20, F_GETFD, 0), yield* p.syscall('fcntl', 21, F_GETFD, 0))
    seen.push(yield* p.syscall('fcntl', 21, F_SETFD, 0), yield* p.syscall('fcntl', 21, F_GETFD, 0))
    seen.push(yield* p.syscall('fcntl', r, F_GETFL, 0), yield* p.syscall('dup2', r, r))
    for (const fd of doubles) yield* p.close(fd)
    seen.push(file?.f_count.$int('counter'), yield* p.close(20))
    return 0
  })
  expect(seen).toEqual([[2, 20, 21, 30], true, 5n, 0, 1, 0, 0, 0, 0, 1n, -EBADF])
})

test('what cannot be doubled or sought says why', () => {
  const k = machineWithInit()
  const seen: unknown[] = []
  runProgram(k, function* (p) {
    const [r] = yield* p.pipe()
    seen.push(yield* p.syscall('dup', 77), yield* p.syscall('dup3', r, r, 0), yield* p.syscall('dup2', r, -1))
    seen.push(yield* p.syscall('fcntl', r, F_DUPFD, -1), yield* p.syscall('lseek', r, 0, 0))
    return 0
  })
  expect(seen).toEqual([-EBADF, -EINVAL, -EBADF, -EINVAL, -ESPIPE])
})

test('writev gathers, readv scatters', () => {
  const k = machineWithInit()
  const seen: unknown[] = []
  runProgram(k, function* (p) {
    const [r, w] = yield* p.pipe()
    const parts = ['one', '', 'three', '!'].map((part) => [p.data(Buffer.from(part)), part.length] as const)
    seen.push(yield* p.syscall('writev', w, vector(p, parts), 4))
    const into = [p.alloc(4), p.alloc(16)] as const
    seen.push(yield* p.syscall('readv', r, vector(p, [[into[0], 4], [into[1], 16]]), 2)) // prettier-ignore
    seen.push(Buffer.from(p.readUser(into[0], 4)).toString() + Buffer.from(p.readUser(into[1], 5)).toString())
    return 0
  })
  expect(seen).toEqual([9, 9, 'onethree!'])
})
