/** Characters and strings as gdb writes them: UTF-8 where it is valid and printable, octal escapes elsewhere. */

/** A unit of text: a character, bytes that are none, or the incomplete character at the very end. */
interface Unit {
  readonly kind: 'char' | 'invalid' | 'incomplete'
  readonly bytes: Uint8Array
  /** code point; -1 unless a character */
  readonly code: number
}

const ESCAPES: Readonly<Record<number, string>> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r' } // prettier-ignore
/** What a terminal shows without being controlled by it. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]$/u

/** One character in single quotes: `'\000'`, `'a'`. */
export function charText(byte: number): string {
  return `'${unitText(unitAt(Uint8Array.of(byte & 0xff), 0), "'", { pending: false })}'`
}

/**
 * Bytes in double quotes. One NUL at the end is the terminator and left out.
 *
 * @param limit  stop after this many characters; a run of one character counts whole
 * @param ellipsis  say `...` at the end in any case
 */
export function stringText(bytes: Uint8Array, limit: number, ellipsis = false): string {
  const length =
    !ellipsis && bytes.length > 0 && bytes[bytes.length - 1] === 0 ? bytes.length - 1 : bytes.length
  if (length === 0) return '""'
  const escape = { pending: false }
  let text = ''
  let printed = 0
  let at = 0
  while (at < length && printed < limit) {
    const unit = unitAt(bytes.subarray(0, length), at)
    if (unit.kind === 'incomplete') {
      const rest = unitText(unit, '', escape)
      return `${text === '' ? '' : `"${text}", `}<incomplete sequence ${rest}>${ellipsis ? '...' : ''}`
    }
    // a run of the same character is never cut
    for (const run = unit; at < length; at += run.bytes.length) {
      const next = unitAt(bytes.subarray(0, length), at)
      if (next.kind !== run.kind || !sameBytes(next.bytes, run.bytes)) break
      if (!isSwallowed(bytes.subarray(0, length), at, run)) text += unitText(run, '"', escape)
      printed++
    }
  }
  return `"${text}"${at < length || ellipsis ? '...' : ''}`
}

/** gdb loses a character right before an incomplete one: its converter answers for both at once. */
function isSwallowed(bytes: Uint8Array, at: number, unit: Unit): boolean {
  const next = at + unit.bytes.length
  return unit.kind === 'char' && next < bytes.length && unitAt(bytes, next).kind === 'incomplete'
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** Decode one character as iconv does. */
function unitAt(bytes: Uint8Array, at: number): Unit {
  const first = bytes[at] as number
  const one = bytes.subarray(at, at + 1)
  if (first < 0x80) return { kind: 'char', bytes: one, code: first }
  const count = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf8 ? 4 : 0 // prettier-ignore
  if (count === 0) return { kind: 'invalid', bytes: one, code: -1 }
  let code = first & (0xff >> (count + 1))
  for (let i = 1; i < count; i++) {
    if (at + i >= bytes.length) return { kind: 'incomplete', bytes: bytes.subarray(at), code: -1 }
    const byte = bytes[at + i] as number
    if ((byte & 0xc0) !== 0x80) return { kind: 'invalid', bytes: one, code: -1 }
    code = (code << 6) | (byte & 0x3f)
  }
  const overlong = (count === 3 && code < 0x800) || (count === 4 && code < 0x10000)
  if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
    return { kind: 'invalid', bytes: one, code: -1 }
  return { kind: 'char', bytes: bytes.subarray(at, at + count), code }
}

/** After an octal escape a digit is escaped too, or it would be read as part of it. */
function unitText(unit: Unit, quote: string, escape: { pending: boolean }): string {
  const needed = escape.pending
  escape.pending = false
  if (unit.kind === 'char') {
    const known = ESCAPES[unit.code]
    if (known !== undefined) return known
    const char = String.fromCodePoint(unit.code)
    if (PRINTABLE.test(char) && !(needed && /\d/.test(char)))
      return char === quote || char === '\\' ? `\\${char}` : char
  }
  escape.pending = true
  return Array.from(unit.bytes, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
