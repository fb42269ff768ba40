/**
 * One page out of a Zstandard frame, by fzstd, behind checks it lacks: by itself it takes a block that ends early
 * for whole, copies zeros from before the block's start, and lets a few bytes ask for gigabytes of work.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878
 */

import { decompress } from 'fzstd'

/** A frame that is damaged, or that no writer of pages makes; the caller knows where it came from. */
export class ZstdError extends Error {}

const MAGIC = 0xfd2fb528
const RAW = 0
const RLE = 1
const COMPRESSED = 2
/** A sequence gives three bytes at least. */
const MIN_MATCH = 3
/** Room beyond a page, so that a block that runs over is seen to. */
const ROOM = 16384

/**
 * Decompress a frame of one block (a page is never more) that must give exactly `size` bytes, at most 8192.
 * @throws ZstdError when it does not
 */
export function zstdDecompress(input: Uint8Array, size: number): Uint8Array {
  const blockAt = frameHeader(input, size)
  const header = little(input, blockAt, 3)
  if ((header & 1) === 0) throw new ZstdError('holds more than one block')
  const type = (header >> 1) & 3
  const declared = header >> 3
  const from = blockAt + 3
  const block = input.subarray(from, from + (type === RLE ? 1 : declared))
  if (type === COMPRESSED) {
    if (block.length !== declared) throw new ZstdError('ends within its block')
    checkSections(block, size)
    return inflateBlock(block, size)
  }
  if (type > COMPRESSED) throw new ZstdError('block of unknown type')
  if (declared !== size) throw new ZstdError(`holds ${declared} bytes, not ${size}`)
  if (block.length !== (type === RAW ? size : 1)) throw new ZstdError('ends within its block')
  return type === RAW ? block.slice() : new Uint8Array(size).fill(block[0] as number)
}

/** Position of the first block. The content size, where it is given, must be `size`. */
function frameHeader(input: Uint8Array, size: number): number {
  if (little(input, 0, 4) !== MAGIC) throw new ZstdError('no frame of zstd')
  const descriptor = little(input, 4, 1)
  if ((descriptor & 0x0b) !== 0) throw new ZstdError('frame with a dictionary or an unknown feature')
  const isSingle = (descriptor & 0x20) !== 0
  const at = isSingle ? 5 : 6
  const form = descriptor >> 6
  const bytes = form === 0 ? (isSingle ? 1 : 0) : 1 << form
  if (bytes > 0) {
    const declared = little(input, at, bytes) + (bytes === 2 ? 256 : 0)
    if (declared !== size) throw new ZstdError(`holds ${declared} bytes, not ${size}`)
  }
  return at + bytes
}

/** The numbers of literals and sequences bound the work: neither may exceed what a page needs. */
function checkSections(block: Uint8Array, size: number): void {
  const first = little(block, 0, 1)
  const kind = first & 3
  const form = (first >> 2) & 3
  let at: number
  let literals: number
  if (kind < 2) {
    at = form === 1 ? 2 : form === 3 ? 3 : 1
    literals = little(block, 0, at) >> (at === 1 ? 3 : 4)
    at += kind === 0 ? literals : 1
  } else {
    const [headBytes, bits] = form < 2 ? [3, 10] : form === 2 ? [4, 14] : [5, 18]
    const sizes = Math.floor(little(block, 0, headBytes) / 16)
    literals = sizes % 2 ** bits
    at = headBytes + Math.floor(sizes / 2 ** bits)
  }
  if (literals > size) throw new ZstdError(`${literals} literals in a page`)
  const head = little(block, at, 1)
  const sequences =
    head < 128
      ? head
      : head < 255
        ? ((head - 128) << 8) + little(block, at + 1, 1)
        : little(block, at + 1, 2) + 0x7f00
  if (sequences * MIN_MATCH > size) throw new ZstdError(`${sequences} sequences in a page`)
}

/**
 * fzstd is given the block in a frame of our own, and an empty raw block behind it: where it would put that one is
 * where the first ended. It asks its output for a byte by index only when a copy begins before the block.
 */
function inflateBlock(block: Uint8Array, size: number): Uint8Array {
  const length = (block.length << 3) | (COMPRESSED << 1)
  const content = ROOM - 256
  const frame = new Uint8Array(10 + block.length + 3)
  frame.set([0x28, 0xb5, 0x2f, 0xfd, 0x60, content & 0xff, content >> 8])
  frame.set([length & 0xff, (length >> 8) & 0xff, length >> 16], 7)
  frame.set(block, 10)
  frame.set([1, 0, 0], 10 + block.length)
  const room = new Uint8Array(ROOM)
  let end = -1
  const methods: Record<string, unknown> = {
    length: ROOM,
    subarray: (from: number, to: number) => room.subarray(from, to),
    set: (_: Uint8Array, at: number) => void (end = at),
  }
  const output = new Proxy(room, {
    get(_, key) {
      if (typeof key === 'symbol') return undefined
      if (key in methods) return methods[key]
      if (/^-?\d/.test(key)) throw new ZstdError('copy out of range')
      return undefined
    },
  })
  try {
    decompress(frame, output)
  } catch (error) {
    if (error instanceof ZstdError) throw error
    throw new ZstdError('zstd data is damaged', { cause: error })
  }
  if (end !== size) throw new ZstdError(`ends after ${end} of ${size} bytes`)
  return room.slice(0, size)
}

/** A little-endian number of up to eight bytes. */
function little(bytes: Uint8Array, at: number, count: number): number {
  if (at + count > bytes.length) throw new ZstdError('ends within a header')
  let value = 0
  for (let i = count - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] as number)
  return value
}
