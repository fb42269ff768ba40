/**
 * `ps [-ef | ax]`: processes, from /proc/PID/stat.
 *
 * @see procps src/ps
 * @remarks without options the processes of the caller's terminal; two formats: the short one, and `-f`'s
 */

import type { Process, Program } from './process.ts'
import { complain, linesOf, print, readText } from './stdio.ts'

interface Row {
  readonly pid: number
  readonly comm: string
  readonly ppid: number
  readonly tty: number
  readonly uid: string
  readonly ticks: number
  readonly command: string
}

const PTS_MAJOR = 136
const HERTZ = 100
const CHUNK = 16_384

export const ps = (argv: readonly string[]): Program =>
  function* (p) {
    const letters = argv.slice(1).join('').replaceAll('-', '')
    if (!/^[efaxuA]*$/.test(letters)) return yield* complain(p, `error: unsupported option -- ${letters}`)
    const all: Row[] = []
    for (const pid of yield* pids(p)) {
      const row = yield* rowOf(p, pid)
      if (row !== undefined) all.push(row)
    }
    const own = all.find(({ pid }) => pid === p.pid)?.tty ?? 0
    const shown = all.filter(({ tty }) => /[eaxA]/.test(letters) || tty === own)
    if (letters.includes('f')) {
      yield* print(p, 'UID          PID    PPID  C STIME TTY          TIME CMD\n')
      for (const r of shown)
        yield* print(
          p,
          `${r.uid.padEnd(8)} ${num(r.pid, 7)} ${num(r.ppid, 7)}  0 00:00 ${ttyName(r.tty).padEnd(8)} ${time(r.ticks)} ${r.command}\n`,
        )
    } else {
      yield* print(p, '    PID TTY          TIME CMD\n')
      for (const r of shown)
        yield* print(p, `${num(r.pid, 7)} ${ttyName(r.tty).padEnd(8)} ${time(r.ticks)} ${r.comm}\n`)
    }
    return 0
  }

const num = (n: number, width: number): string => String(n).padStart(width)

function time(ticks: number): string {
  const s = Math.floor(ticks / HERTZ)
  return [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60]
    .map((n) => String(n).padStart(2, '0'))
    .join(':')
}

/** `tty_nr`: the minor's lower bits, the major above them. */
function ttyName(tty: number): string {
  return (tty >>> 8) % 4096 === PTS_MAJOR ? `pts/${(tty & 0xff) | ((tty >>> 12) & 0xfff00)}` : '?'
}

/** The directories of /proc that are numbers. */
function* pids(p: Process): Generator<unknown, number[]> {
  const fd = yield* p.open('/proc', 0o200000)
  const found: number[] = []
  while (fd >= 0) {
    const mark = p.mark()
    const at = p.alloc(CHUNK)
    const size = yield* p.syscall('getdents64', fd, at, CHUNK)
    const bytes = Buffer.from(p.readUser(at, Math.max(size, 0)))
    p.release(mark)
    if (size <= 0) break
    for (let i = 0; i < bytes.length; i += bytes.readUInt16LE(i + 16)) {
      const name = bytes.toString('latin1', i + 19, bytes.indexOf(0, i + 19))
      if (/^\d+$/.test(name)) found.push(Number(name))
    }
  }
  if (fd >= 0) yield* p.close(fd)
  return found
}

function* rowOf(p: Process, pid: number): Generator<unknown, Row | undefined> {
  const stat = yield* readText(p, `/proc/${pid}/stat`)
  const found = /^\d+ \((.*)\) \S+ (.*)$/s.exec(stat ?? '')
  if (found === null) return undefined
  const [, comm = '', rest = ''] = found
  const fields = rest.split(' ')
  const status = linesOf((yield* readText(p, `/proc/${pid}/status`)) ?? '')
  const uid = status.find((line) => line.startsWith('Uid:'))?.split('\t')[1] ?? '0'
  const cmdline = ((yield* readText(p, `/proc/${pid}/cmdline`)) ?? '')
    .replace(/\0$/, '')
    .replaceAll('\0', ' ')
  return {
    pid,
    comm,
    ppid: Number(fields[0]),
    tty: Number(fields[3]),
    uid: uid === '0' ? 'root' : uid,
    ticks: Number(fields[10]) + Number(fields[11]),
    command: cmdline === '' ? `[${comm}]` : cmdline,
  }
}
