/**
 * Handshakes a second: a server that listens and accepts, a client that connects; both close. On the simulated kernel
 * with the write journal on, and beside it on the kernel this machine runs.
 *
 * `node bench/handshakes.js [--profile]`
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { AF_INET, SOCK_STREAM } from '../dist/src/abi/socket.js'
import { createKernel, DEFAULT_BOOT } from '../dist/src/linux/boot.js'
import { runUntilDone } from '../dist/src/linux/kernel/sched/run.js'
import { findProfile } from '../dist/src/linux/profile.js'
import { spawn, startInit } from '../dist/src/userland/init.js'
import { sockaddrIn } from '../dist/src/userland/ncat/calls.js'
import { median } from './measure.js'

const PORT = 10000
const WARM_UP = 200
const BATCH = 500
const BATCHES = 5
const KERNEL_COUNT = 5000

/** Connections a second of each batch. */
export function simulated(batch = BATCH, batches = BATCHES) {
  const k = createKernel({ profile: findProfile('debian-6.1-x86_64'), ...DEFAULT_BOOT })
  startInit(k)
  const count = { accepted: 0, closed: 0 }
  const image = { path: '/usr/bin/test', argv: ['test'], envp: [], vszKb: 2000, rssKb: 400 }
  spawn(k, { image, program: (p) => server(p, count), cpu: 0 })
  spawn(k, { image, program: (p) => client(p, count), cpu: 0 })
  const until = (n) => {
    if (!runUntilDone(k, () => count.closed >= n)) throw new Error('the machine came to rest')
  }
  until(WARM_UP)
  const rowsBefore = k.mem.journal.length
  const rates = []
  for (let i = 1; i <= batches; i++) {
    const start = performance.now()
    until(WARM_UP + i * batch)
    rates.push((batch * 1000) / (performance.now() - start))
    // a run's own journal would have grown by this much, too: start each batch as a snapshot would
    k.mem.takeDelta()
  }
  return { rates, writes: (k.mem.journal.length - rowsBefore) / (batch * batches) }
}

function* server(p, count) {
  const fd = yield* p.must('socket', AF_INET, SOCK_STREAM, 0)
  yield* p.must('bind', fd, p.data(sockaddrIn('127.0.0.1', PORT)), 16)
  yield* p.must('listen', fd, 128)
  for (;;) {
    const connection = yield* p.must('accept', fd, 0, 0)
    count.accepted++
    yield* p.must('close', connection)
    count.closed++
  }
}

function* client(p) {
  const address = p.data(sockaddrIn('127.0.0.1', PORT))
  for (;;) {
    const fd = yield* p.must('socket', AF_INET, SOCK_STREAM, 0)
    yield* p.must('connect', fd, address, 16)
    yield* p.must('close', fd)
  }
}

/** The same on this machine's kernel: by a C program, or by node where there is no compiler. */
export async function native() {
  const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (compiler === undefined) return { how: 'node:net', rates: await nodeRates() }
  const folder = mkdtempSync(join(tmpdir(), 'coredrill-bench-'))
  try {
    const program = join(folder, 'handshakes')
    const source = fileURLToPath(new URL('handshakes.c', import.meta.url))
    execFileSync(compiler, ['-O2', '-o', program, source])
    const rates = Array.from({ length: BATCHES }, () => Number(execFileSync(program, [`${KERNEL_COUNT}`])))
    return { how: 'a C program', rates }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function nodeRates() {
  const listener = createServer((socket) =>
    socket
      .on('error', () => undefined)
      .end()
      .resume(),
  )
  await new Promise((done) => listener.listen(0, '127.0.0.1', done))
  const { port } = listener.address()
  const rates = []
  for (let i = 0; i < BATCHES; i++) {
    const start = performance.now()
    for (let n = 0; n < KERNEL_COUNT / 5; n++) {
      await new Promise((done) => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', done).on('close', done).resume().end()
      })
    }
    rates.push(((KERNEL_COUNT / 5) * 1000) / (performance.now() - start))
  }
  listener.close()
  return rates
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { rates, writes } = simulated()
  const real = await native()
  console.log(`simulated: ${median(rates).toFixed(0)} handshakes a second, ${writes.toFixed(0)} writes each`)
  console.log(`this machine's kernel (${real.how}): ${median(real.rates).toFixed(0)}`)
}
