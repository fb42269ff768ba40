/** Lengths of x86-64 instructions and what they do to the stack pointer: enough to find a frame's size in code. */

/** One decoded instruction. */
export interface Step {
  readonly length: number
  /** bytes the stack grows by; negative when it shrinks; 0 for anything else */
  readonly grows: number
}

const PREFIXES = new Set([0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0])
const WORD = 8

/** Bytes of immediate by opcode of the first map: `z` is 4 (2 with 66), `v` 8 with REX.W. */
function immediateSize(opcode: number, wide: boolean, short: boolean, reg: number): number {
  const z = short ? 2 : 4
  const low = opcode & 7
  if (opcode < 0x40) return low === 4 ? 1 : low === 5 ? z : 0
  if (opcode >= 0x70 && opcode <= 0x7f) return 1
  if (opcode >= 0xb0 && opcode <= 0xb7) return 1
  if (opcode >= 0xb8 && opcode <= 0xbf) return wide ? 8 : z
  if (opcode >= 0xe0 && opcode <= 0xe7) return 1
  if (opcode >= 0xa0 && opcode <= 0xa3) return 8
  if (opcode === 0xf6) return reg < 2 ? 1 : 0
  if (opcode === 0xf7) return reg < 2 ? z : 0
  return IMMEDIATES.get(opcode) ?? (Z_IMMEDIATES.has(opcode) ? z : 0)
}

const IMMEDIATES = new Map([
  ...[0x6a, 0x6b, 0x80, 0x82, 0x83, 0xa8, 0xc0, 0xc1, 0xc6, 0xcd, 0xeb, 0xd4, 0xd5].map(
    (op) => [op, 1] as const,
  ),
  ...([
    [0xc2, 2],
    [0xca, 2],
    [0xc8, 3],
    [0xe8, 4],
    [0xe9, 4],
  ] as const),
])
const Z_IMMEDIATES = new Set([0x68, 0x69, 0x81, 0xa9, 0xc7])

function hasModrm(opcode: number): boolean {
  if (opcode < 0x40) return (opcode & 7) < 4
  if (opcode >= 0x84 && opcode <= 0x8f) return true
  if (opcode >= 0xd0 && opcode <= 0xd3) return true
  if (opcode >= 0xd8 && opcode <= 0xdf) return true
  return MODRM.has(opcode)
}
const MODRM = new Set([
  0x63, 0x69, 0x6b, 0x80, 0x81, 0x82, 0x83, 0xc0, 0xc1, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
])

/** Second map (after 0F): what has no ModRM byte. */
function hasModrm0f(opcode: number): boolean {
  if (opcode >= 0x80 && opcode <= 0x8f) return false
  if (opcode >= 0x30 && opcode <= 0x37) return false
  if (opcode >= 0xc8 && opcode <= 0xcf) return false
  return !PLAIN_0F.has(opcode)
}
const PLAIN_0F = new Set([0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e, 0x77, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa])
const IMMEDIATE_0F = new Set([0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6])

/** Bytes of a ModRM byte with its SIB and displacement. */
function modrmLength(code: Uint8Array, at: number): number {
  const modrm = code[at] ?? 0
  const mod = modrm >> 6
  const rm = modrm & 7
  if (mod === 3) return 1
  const sib = rm === 4 ? 1 : 0
  const base = sib === 1 ? (code[at + 1] ?? 0) & 7 : rm
  const displacement = mod === 1 ? 1 : mod === 2 || base === 5 ? 4 : 0
  return 1 + sib + displacement
}

/**
 * Decode one instruction.
 * @returns undefined where the code ends within it
 */
export function decode(code: Uint8Array, from: number): Step | undefined {
  let at = from
  let short = false
  let rex = 0
  while (PREFIXES.has(code[at] ?? 0)) {
    if (code[at] === 0x66) short = true
    at++
  }
  const repeated = code.subarray(from, at).includes(0xf3)
  if (((code[at] ?? 0) & 0xf0) === 0x40) rex = code[at++] ?? 0
  const opcode = code[at++]
  if (opcode === undefined) return undefined
  const end = (length: number, grows = 0): Step | undefined =>
    at + length <= code.length ? { length: at + length - from, grows } : undefined
  if (opcode === 0x0f) return decode0f(code, at, end, repeated)
  if (opcode === 0xc5 || opcode === 0xc4 || opcode === 0x62) return decodeVex(code, at, opcode, end)
  const modrm = hasModrm(opcode)
  const reg = modrm ? ((code[at] ?? 0) >> 3) & 7 : 0
  const operand = modrm ? modrmLength(code, at) : 0
  const immediate = immediateSize(opcode, (rex & 8) !== 0, short, reg)
  return end(operand + immediate, growth(code, at, opcode, reg, rex, operand))
}

type End = (length: number, grows?: number) => Step | undefined

function decode0f(code: Uint8Array, at: number, end: End, repeated: boolean): Step | undefined {
  const opcode = code[at] ?? 0
  if (opcode === 0x38 || opcode === 0x3a) {
    return end(2 + modrmLength(code, at + 2) + (opcode === 0x3a ? 1 : 0))
  }
  if (opcode >= 0x80 && opcode <= 0x8f) return end(5)
  if (!hasModrm0f(opcode)) {
    if (opcode === 0xa0 || opcode === 0xa8) return end(1, WORD)
    return end(1, opcode === 0xa1 || opcode === 0xa9 ? -WORD : 0)
  }
  // popcnt: its name begins as pop's does, which is all that crash looks at
  const grows = opcode === 0xb8 && repeated ? -WORD : 0
  return end(1 + modrmLength(code, at + 1) + (IMMEDIATE_0F.has(opcode) ? 1 : 0), grows)
}

function decodeVex(code: Uint8Array, at: number, opcode: number, end: End): Step | undefined {
  const head = opcode === 0xc5 ? 1 : opcode === 0xc4 ? 2 : 3
  const map = opcode === 0xc5 ? 1 : (code[at] ?? 0) & (opcode === 0xc4 ? 31 : 7)
  const op = code[at + head] ?? 0
  if (map === 1 && op === 0x77) return end(head + 1)
  const immediate = map === 3 || (map === 1 && IMMEDIATE_0F.has(op)) ? 1 : 0
  return end(head + 1 + modrmLength(code, at + head + 1) + immediate)
}

/** push, pop, and additions to RSP. */
function growth(
  code: Uint8Array,
  at: number,
  opcode: number,
  reg: number,
  rex: number,
  operand: number,
): number {
  if (opcode >= 0x50 && opcode <= 0x57) return WORD
  if (opcode >= 0x58 && opcode <= 0x5f) return -WORD
  if (opcode === 0x68 || opcode === 0x6a || opcode === 0x9c) return WORD
  if (opcode === 0x9d || opcode === 0x8f) return -WORD
  if (opcode === 0xff && reg === 6) return WORD
  const toRsp = (code[at] ?? 0) >> 6 === 3 && ((code[at] ?? 0) & 7) === 4 && (rex & 1) === 0
  if ((opcode !== 0x81 && opcode !== 0x83) || !toRsp || (reg !== 0 && reg !== 5)) return 0
  const view = new DataView(code.buffer, code.byteOffset, code.length)
  const where = at + operand
  if (where + (opcode === 0x83 ? 1 : 4) > code.length) return 0
  const amount = opcode === 0x83 ? view.getInt8(where) : view.getInt32(where, true)
  return reg === 5 ? amount : -amount
}

/**
 * What a function has put on the stack where it is at `upTo`, counted from its beginning: each push, pop and
 * change of RSP on the way, whether or not it was executed.
 *
 * @param inclusive count the instruction at `upTo` as well
 * @remarks crash's last resort: wrong after an early return, as crash's is.
 */
export function pushed(code: Uint8Array, upTo: number, inclusive: boolean): number {
  let size = 0
  for (let at = 0; inclusive ? at <= upTo : at < upTo;) {
    const step = decode(code, at)
    if (step === undefined) break
    if (step.grows > 0 || size > 0) size += step.grows
    at += step.length
  }
  return size
}
