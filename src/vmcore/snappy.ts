/**
 * The Snappy block format: what makedumpfile's `-p` writes, and what our own dumps use, because these few lines
 * give the same bytes on every machine (zlib's output differs between its builds).
 *
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 */

const HASH_BITS = 13
const MIN_MATCH = 4
/** A copy reaches this far back. */
const MAX_OFFSET = 65535

/** A block that is damaged; the caller knows where it came from. */
export class SnappyError extends Error {}

/** Compress a block (any length below 2^32). */
export function snappyCompress(input: Uint8Array): Uint8Array {
  const out = new Uint8Array(32 + input.length + Math.floor(input.length / 6))
  let o = putVarint(out, input.length)
  const table = new Int32Array(1 << HASH_BITS).fill(-1)
  const last = input.length - MIN_MATCH
  let literal = 0
  let i = 0
  let misses = 32
  while (i <= last) {
    const word = read32(input, i)
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS)
    const candidate = table[slot] as number
    table[slot] = i
    if (candidate < 0 || i - candidate > MAX_OFFSET || read32(input, candidate) !== word) {
      // Look ever more rarely where nothing repeats.
      i += misses++ >> 5
      continue
    }
    misses = 32
    o = putLiteral(out, o, input, literal, i)
    let length = MIN_MATCH
    while (i + length < input.length && input[candidate + length] === input[i + length]) length++
    o = putCopy(out, o, i - candidate, length)
    i += length
    literal = i
  }
  o = putLiteral(out, o, input, literal, input.length)
  return out.slice(0, o)
}

/**
 * Decompress a block that must give exactly `size` bytes.
 * @throws SnappyError when it does not
 */
export function snappyDecompress(input: Uint8Array, size: number): Uint8Array {
  let at = 0
  let declared = 0
  for (let shift = 0; ; shift += 7) {
    const byte = input[at++]
    if (byte === undefined || shift > 28) throw new SnappyError('bad length')
    declared += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (declared !== size) throw new SnappyError(`holds ${declared} bytes, not ${size}`)
  const out = new Uint8Array(size)
  let o = 0
  while (at < input.length) {
    const tag = input[at++] as number
    let length: number
    let offset: number
    switch (tag & 3) {
      case 0: {
        length = tag >> 2
        if (length >= 60) {
          const bytes = length - 59
          length = 0
          for (let k = 0; k < bytes; k++) length += (input[at + k] ?? 0) * 2 ** (8 * k)
          at += bytes
        }
        length++
        if (at + length > input.length || o + length > size) throw new SnappyError('literal runs over')
        out.set(input.subarray(at, at + length), o)
        at += length
        o += length
        continue
      }
      case 1:
        length = ((tag >> 2) & 7) + 4
        offset = ((tag >> 5) << 8) | (input[at++] ?? 0)
        break
      case 2:
        length = (tag >> 2) + 1
        offset = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8)
        at += 2
        break
      default:
        length = (tag >> 2) + 1
        offset = read32(input, at) >>> 0
        at += 4
    }
    if (offset === 0 || offset > o || o + length > size) throw new SnappyError('copy out of range')
    if (offset >= length) out.copyWithin(o, o - offset, o - offset + length)
    else for (let k = 0; k < length; k++) out[o + k] = out[o + k - offset] as number
    o += length
  }
  if (o !== size) throw new SnappyError(`ends after ${o} of ${size} bytes`)
  return out
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function putVarint(out: Uint8Array, value: number): number {
  let o = 0
  for (; value >= 0x80; value = Math.floor(value / 128)) out[o++] = (value & 0x7f) | 0x80
  out[o++] = value
  return o
}

function putLiteral(out: Uint8Array, o: number, input: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (length === 0) return o
  const n = length - 1
  if (n < 60) out[o++] = n << 2
  else {
    const bytes = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4
    out[o++] = (59 + bytes) << 2
    for (let k = 0; k < bytes; k++) out[o++] = (n >>> (8 * k)) & 0xff
  }
  out.set(input.subarray(from, to), o)
  return o + length
}

function putCopy(out: Uint8Array, o: number, offset: number, length: number): number {
  while (length > 0) {
    if (length >= 4 && length <= 11 && offset < 2048) {
      out[o++] = 1 | ((length - 4) << 2) | ((offset >> 8) << 5)
      out[o++] = offset & 0xff
      return o
    }
    // Never leave a rest shorter than a copy's least length in the short form.
    const part = length > 64 && length < 68 ? 60 : Math.min(length, 64)
    out[o++] = 2 | ((part - 1) << 2)
    out[o++] = offset & 0xff
    out[o++] = offset >> 8
    length -= part
  }
  return o
}
