/** echo, sleep, true, false, pwd, kill, uname, id, whoami: programs of a few lines. @see coreutils */

import { strerror } from '../../abi/errno.ts'
import { SIGNALS, signalNumber } from '../signals.ts'
import { parseOptions } from '../options.ts'
import type { Process, Program } from '../process.ts'
import { complain, linesOf, nameOf, print, readText } from '../stdio.ts'

const UTS_LENGTH = 65

/** What echo writes. @param words without its name */
export function echoText(words: readonly string[]): string {
  const rest = [...words]
  let newline = true
  let escapes = false
  while (rest[0] !== undefined && /^-[neE]+$/.test(rest[0])) {
    for (const letter of rest.shift()?.slice(1) ?? '') {
      if (letter === 'n') newline = false
      else escapes = letter === 'e'
    }
  }
  const text = rest.join(' ')
  const shown = escapes ? text.replace(/\\([\\abefnrtv0])/g, (_, c: string) => ESCAPES[c] ?? c) : text
  return newline ? `${shown}\n` : shown
}
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', e: '\x1b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '0': '\0', '\\': '\\',
} // prettier-ignore

export const echo = (argv: readonly string[]): Program =>
  function* (p) {
    yield* print(p, echoText(argv.slice(1)))
    return 0
  }

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `sleep NUMBER[smhd]…` */
export const sleep = (argv: readonly string[]): Program =>
  function* (p) {
    let seconds = 0
    for (const word of argv.slice(1)) {
      const found = /^(\d+(?:\.\d*)?|\.\d+)([smhd]?)$/.exec(word)
      if (found === null) return yield* complain(p, `sleep: invalid time interval ‘${word}’`)
      seconds += Number(found[1]) * (UNITS[found[2] ?? ''] ?? 1)
    }
    if (argv.length < 2) return yield* complain(p, 'sleep: missing operand')
    yield* p.sleep(Math.round(seconds * 1e9))
    return 0
  }

export const yes = (status: number) => (): Program =>
  // eslint-disable-next-line require-yield -- it makes no system call
  function* () {
    return status
  }

export const pwd = (): Program =>
  function* (p) {
    yield* print(p, `${yield* currentDirectory(p)}\n`)
    return 0
  }

/** getcwd(3) */
export function* currentDirectory(p: Process): Generator<unknown, string> {
  const mark = p.mark()
  const at = p.alloc(4096)
  const length = yield* p.syscall('getcwd', at, 4096)
  const path = length > 0 ? Buffer.from(p.readUser(at, length - 1)).toString('utf8') : '.'
  p.release(mark)
  return path
}

/** `kill [-SIGNAL] PID…`, `kill -l` @param program as complaints begin */
export function* killWords(
  p: Process,
  program: string,
  words: readonly string[],
): Generator<unknown, number> {
  const rest = [...words]
  let signal = SIGNALS['TERM'] ?? 15
  if (rest[0] === '-l') {
    yield* print(p, `${Object.keys(SIGNALS).join(' ')}\n`)
    return 0
  }
  if (rest[0]?.startsWith('-') === true && rest[0] !== '--') {
    let name = (rest.shift() ?? '').slice(1)
    if (name === 's' || name === 'n') name = rest.shift() ?? ''
    const number = signalNumber(name)
    if (number === undefined) return yield* complain(p, `${program}: ${name}: invalid signal specification`)
    signal = number
  }
  if (rest.length === 0) return yield* complain(p, `${program}: usage: kill [-s sigspec | -signum] pid ...`)
  let status = 0
  for (const word of rest) {
    if (!/^-?\d+$/.test(word)) {
      status = yield* complain(p, `${program}: ${word}: arguments must be process or job IDs`)
      continue
    }
    const result = yield* p.kill(Number(word), signal)
    if (result < 0) status = yield* complain(p, `${program}: (${word}) - ${strerror(-result)}`)
  }
  return status
}

export const kill = (argv: readonly string[]): Program =>
  function* (p) {
    return yield* killWords(p, 'kill', argv.slice(1))
  }

const UNAME_ORDER: readonly string[] = ['s', 'n', 'r', 'v', 'm', 'p', 'i', 'o']

/** `uname [-asnrvmpio]` @remarks `-p` and `-i` are known to distributions that patch them in: Ubuntu's */
export const uname = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, words, error } = parseOptions(argv, 'asnrvmpio', {
      all: 'a', 'kernel-name': 's', nodename: 'n', 'kernel-release': 'r', 'kernel-version': 'v', machine: 'm',
      processor: 'p', 'hardware-platform': 'i', 'operating-system': 'o',
    }) // prettier-ignore
    if (error !== undefined) return yield* complain(p, `uname: ${error}`)
    if (words.length > 0) return yield* complain(p, `uname: extra operand ‘${words[0] ?? ''}’`)
    const [s, n, r, v, m] = yield* utsname(p)
    const processor = v.includes('Ubuntu') ? m : 'unknown'
    const all: Readonly<Record<string, string>> = {
      s,
      n,
      r,
      v,
      m,
      p: processor,
      i: processor,
      o: 'GNU/Linux',
    }
    const wanted = UNAME_ORDER.filter((f) => flags.has('a') || flags.has(f))
    const shown = (wanted.length === 0 ? ['s'] : wanted)
      .map((f) => all[f] ?? '')
      .filter((text) => text !== 'unknown' || !flags.has('a'))
    yield* print(p, `${shown.join(' ')}\n`)
    return 0
  }

/** uname(2): name, node, release, version, machine. */
export function* utsname(p: Process): Generator<unknown, [string, string, string, string, string]> {
  const mark = p.mark()
  const at = p.alloc(UTS_LENGTH * 6)
  yield* p.syscall('uname', at)
  const fields = [0, 1, 2, 3, 4].map((i) =>
    Buffer.from(p.readUser(at + i * UTS_LENGTH, UTS_LENGTH))
      .toString('latin1')
      .replace(/\0.*$/s, ''),
  )
  p.release(mark)
  return fields as [string, string, string, string, string]
}

/** A user's or group's name, from the file that has it. */
function* nameIn(p: Process, path: string, id: number): Generator<unknown, string | undefined> {
  const text = (yield* readText(p, path)) ?? ''
  return linesOf(text)
    .map((line) => line.split(':'))
    .find((fields) => fields[2] === String(id))?.[0]
}

const titled = (id: number, name: string | undefined): string =>
  name === undefined ? String(id) : `${id}(${name})`

/** `id [-un]` */
export const id = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, error } = parseOptions(argv, 'ugnG', { user: 'u', group: 'g', name: 'n' })
    if (error !== undefined) return yield* complain(p, `${nameOf(argv)}: ${error}`)
    const uid = yield* p.syscall('geteuid')
    const gid = yield* p.syscall('getegid')
    const user = yield* nameIn(p, '/etc/passwd', uid)
    const group = yield* nameIn(p, '/etc/group', gid)
    const named = flags.has('n')
    if (flags.has('u')) yield* print(p, `${named ? (user ?? uid) : uid}\n`)
    else if (flags.has('g') || flags.has('G')) yield* print(p, `${named ? (group ?? gid) : gid}\n`)
    else yield* print(p, `uid=${titled(uid, user)} gid=${titled(gid, group)} groups=${titled(gid, group)}\n`)
    return 0
  }

export const whoami = (): Program => id(['id', '-un'])
