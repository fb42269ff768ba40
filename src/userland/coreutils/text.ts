/** cat, head, tail, wc: files and standard input as lines. @see coreutils src/cat.c, head.c, tail.c, wc.c */

import { strerror } from '../../abi/errno.ts'
import { parseOptions } from '../options.ts'
import type { Process, Program } from '../process.ts'
import { complain, linesOf, nameOf, readAll, readFile, STDIN, STDOUT, writeAll } from '../stdio.ts'

const LINES = 10

interface Input {
  /** as it is named in titles and errors */
  readonly name: string
  readonly bytes: Uint8Array
}

/** The files named, or standard input; what cannot be read is complained of. */
function* inputs(
  p: Process,
  program: string,
  names: readonly string[],
  opening: (name: string) => string,
): Generator<unknown, { inputs: Input[]; failed: boolean }> {
  const found: Input[] = []
  let failed = false
  for (const name of names.length === 0 ? ['-'] : names) {
    const bytes = yield* name === '-' ? readAll(p, STDIN) : readFile(p, name)
    if (typeof bytes !== 'number') {
      found.push({ name: name === '-' ? 'standard input' : name, bytes })
      continue
    }
    failed = true
    yield* complain(p, `${program}: ${opening(name)}: ${strerror(-bytes)}`)
  }
  return { inputs: found, failed }
}

/** `cat [-n] [FILE…]`: bytes as they come, not the file as a whole. */
export const cat = (argv: readonly string[]): Program =>
  function* (p) {
    const { flags, words, error } = parseOptions(argv, 'nu')
    if (error !== undefined) return yield* complain(p, `${nameOf(argv)}: ${error}`)
    let status = 0
    let number = 0
    for (const name of words.length === 0 ? ['-'] : words) {
      const fd = name === '-' ? STDIN : yield* p.open(name, 0)
      let problem = fd < 0 ? -fd : 0
      for (; problem === 0;) {
        const bytes = yield* p.read(fd, 16_384)
        if (typeof bytes === 'number') problem = -bytes
        else if (bytes.length === 0) break
        else if (!flags.has('n')) yield* writeAll(p, STDOUT, bytes)
        else {
          const text = linesOf(Buffer.from(bytes).toString('utf8'))
          yield* writeAll(p, STDOUT, text.map((l) => `${String(++number).padStart(6)}\t${l}\n`).join(''))
        }
      }
      if (fd > 0) yield* p.close(fd)
      if (problem !== 0) status = yield* complain(p, `${nameOf(argv)}: ${name}: ${strerror(problem)}`)
    }
    return status
  }

/** `-3`, the old way of saying `-n 3`. */
const modern = (argv: readonly string[]): string[] =>
  argv.flatMap((word, i) => (i > 0 && /^-\d+$/.test(word) ? ['-n', word.slice(1)] : [word]))

/** head and tail are one program but for which lines they keep. */
const part =
  (keep: (lines: string[], count: string) => string[], keepBytes: (b: Uint8Array, n: number) => Uint8Array) =>
  (argv: readonly string[]): Program =>
    function* (p) {
      const name = nameOf(argv)
      const { flags, values, words, error } = parseOptions(modern(argv), 'n:c:qv', { lines: 'n', bytes: 'c' })
      if (error !== undefined) return yield* complain(p, `${name}: ${error}`)
      const count = values.get('n') ?? String(LINES)
      if (!/^[+-]?\d+$/.test(count)) return yield* complain(p, `${name}: invalid number of lines: ‘${count}’`)
      const { inputs: all, failed } = yield* inputs(
        p, name, words, (file) => `cannot open '${file}' for reading`,
      ) // prettier-ignore
      const titles = (all.length > 1 && !flags.has('q')) || flags.has('v')
      for (const [i, input] of all.entries()) {
        if (titles) yield* writeAll(p, STDOUT, `${i > 0 ? '\n' : ''}==> ${input.name} <==\n`)
        const bytes = values.get('c')
        const kept =
          bytes !== undefined
            ? keepBytes(input.bytes, Number(bytes))
            : keep(keepEnds(Buffer.from(input.bytes).toString('latin1')), count).join('')
        yield* writeAll(p, STDOUT, typeof kept === 'string' ? Buffer.from(kept, 'latin1') : kept)
      }
      return failed ? 1 : 0
    }

/** Lines with their newlines. */
const keepEnds = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? []

/** `head [-n COUNT] [-c BYTES] [FILE…]`; a negative count leaves that many out at the end. */
export const head = part(
  (lines, count) => lines.slice(0, Number(count)),
  (bytes, n) => bytes.subarray(0, n),
)

/** `tail [-n COUNT] [-c BYTES] [FILE…]`; `+N` begins with line N. */
export const tail = part(
  (lines, count) => {
    const n = Math.abs(Number(count))
    return count.startsWith('+') ? lines.slice(Math.max(n - 1, 0)) : n === 0 ? [] : lines.slice(-n)
  },
  (bytes, n) => (n === 0 ? new Uint8Array(0) : bytes.subarray(-n)),
)

/** `wc [-lwc] [FILE…]` */
export const wc = (argv: readonly string[]): Program =>
  function* (p) {
    const name = nameOf(argv)
    const { flags, words, error } = parseOptions(argv, 'lwcm', { lines: 'l', words: 'w', bytes: 'c' })
    if (error !== undefined) return yield* complain(p, `${name}: ${error}`)
    const { inputs: all, failed } = yield* inputs(p, name, words, (file) => file)
    const wanted = flags.size === 0 ? ['l', 'w', 'c'] : ['l', 'w', 'c', 'm'].filter((f) => flags.has(f))
    const rows = all.map((input) => ({ name: input.name, counts: wanted.map((f) => count(f, input.bytes)) }))
    if (rows.length > 1) {
      rows.push({
        name: 'total',
        counts: wanted.map((_, i) => rows.reduce((n, r) => n + (r.counts[i] ?? 0), 0)),
      })
    }
    // one number of standard input stands alone; several are in columns
    const width = wanted.length === 1 && words.length <= 1 ? 1 : words.length === 0 ? 7 : widest(all)
    for (const row of rows) {
      const numbers = row.counts.map((n) => String(n).padStart(width)).join(' ')
      yield* writeAll(p, STDOUT, `${numbers}${words.length === 0 ? '' : ` ${row.name}`}\n`)
    }
    return failed ? 1 : 0
  }

const widest = (all: readonly Input[]): number =>
  String(all.reduce((n, { bytes }) => n + bytes.length, 0)).length

function count(what: string, bytes: Uint8Array): number {
  if (what === 'c') return bytes.length
  const text = Buffer.from(bytes).toString(what === 'm' ? 'utf8' : 'latin1')
  if (what === 'm') return Array.from(text).length
  return what === 'l' ? text.split('\n').length - 1 : text.split(/\s+/).filter((word) => word !== '').length
}
