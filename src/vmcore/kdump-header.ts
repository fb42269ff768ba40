/** The headers of a kdump-compressed file, in their 64-bit and 32-bit layouts. */

import { DumpError } from '../base/errors.ts'
import type { ByteSource } from './container.ts'

/** What a reader needs of both headers; bytes and page frames. */
export interface KdumpHeader {
  readonly version: number
  readonly machine: string
  readonly status: number
  readonly blockSize: number
  /** position of the two bitmaps, and bytes of both */
  readonly bitmapAt: number
  readonly bitmapBytes: number
  readonly maxPfn: number
  /** of a split dump, the page frames of this part */
  readonly split: boolean
  readonly startPfn: number
  readonly endPfn: number
  readonly note: { readonly offset: number; readonly size: number }
  readonly vmcoreinfo: { readonly offset: number; readonly size: number }
  readonly wordSize: 4 | 8
  /** physical address of the image minus its link address */
  readonly physBase: number
}

/** Positions of the fields that differ between the two word sizes. @see makedumpfile diskdump_mod.h */
interface Layout {
  readonly wordSize: 4 | 8
  readonly status: number
  readonly sub: {
    readonly split: number
    readonly startPfn: number
    readonly endPfn: number
    readonly vmcoreinfo: number
    readonly note: number
    readonly start64: number
    readonly end64: number
    readonly max64: number
  }
}

const LAYOUT_64: Layout = {
  wordSize: 8,
  status: 424,
  sub: { split: 12, startPfn: 16, endPfn: 24, vmcoreinfo: 32, note: 48, start64: 80, end64: 88, max64: 96 },
}
const LAYOUT_32: Layout = {
  wordSize: 4,
  status: 412,
  sub: { split: 8, startPfn: 12, endPfn: 16, vmcoreinfo: 20, note: 32, start64: 56, end64: 64, max64: 72 },
}

const SIGNATURES = ['KDUMP   ', 'DISKDUMP']
const SUB_SIZE = 104

/** `undefined` for a file of another format. @throws DumpError BAD_FORMAT, TRUNCATED */
export function readKdumpHeader(source: ByteSource): KdumpHeader | undefined {
  if (source.size < 8) return undefined
  const signature = Buffer.from(source.read(0, 8)).toString('latin1')
  if (!SIGNATURES.includes(signature)) return undefined
  const bytes = Buffer.from(source.read(0, 464))
  const layout = [LAYOUT_64, LAYOUT_32].find((l) => plausibleBlockSize(bytes.readInt32LE(l.status + 4)))
  if (layout === undefined)
    throw new DumpError('BAD_FORMAT', source.path, 428, 'no plausible block size in the header')
  if (signature === 'DISKDUMP')
    throw new DumpError('BAD_VERSION', source.path, 0, 'diskdump files (before kdump) are not supported')
  return decode(source, bytes, layout)
}

function plausibleBlockSize(n: number): boolean {
  return n === 4096
}

function decode(source: ByteSource, bytes: Buffer, layout: Layout): KdumpHeader {
  const at = layout.status
  const version = bytes.readInt32LE(8)
  const blockSize = bytes.readInt32LE(at + 4)
  const subBlocks = bytes.readInt32LE(at + 8)
  const bitmapBlocks = bytes.readUInt32LE(at + 12)
  if (subBlocks < 1 || subBlocks > 4096)
    throw new DumpError('BAD_FORMAT', source.path, at + 8, `sub header of ${subBlocks} blocks`)
  const bitmapAt = blockSize * (1 + subBlocks)
  const bitmapBytes = bitmapBlocks * blockSize
  if (bitmapAt + bitmapBytes > source.size)
    throw new DumpError('TRUNCATED', source.path, source.size, 'the page bitmap is cut off')

  const sub = Buffer.from(source.read(blockSize, SUB_SIZE))
  const word = (p: number): number => (layout.wordSize === 8 ? big(sub, p) : sub.readUInt32LE(p))
  const { sub: f, wordSize } = layout
  const wide = version >= 6
  const split = version >= 2 && sub.readInt32LE(f.split) !== 0
  return {
    version,
    machine: bytes.toString('latin1', 12 + 4 * 65, 12 + 5 * 65).replace(/\0.*$/s, ''),
    status: bytes.readUInt32LE(at),
    blockSize,
    bitmapAt,
    bitmapBytes,
    maxPfn: wide ? big(sub, f.max64) : bytes.readUInt32LE(at + 16),
    split,
    startPfn: split ? (wide ? big(sub, f.start64) : word(f.startPfn)) : 0,
    endPfn: split ? (wide ? big(sub, f.end64) : word(f.endPfn)) : Infinity,
    vmcoreinfo:
      version >= 3
        ? { offset: big(sub, f.vmcoreinfo), size: word(f.vmcoreinfo + 8) }
        : { offset: 0, size: 0 },
    note: version >= 4 ? { offset: big(sub, f.note), size: word(f.note + 8) } : { offset: 0, size: 0 },
    wordSize,
    physBase: wordSize === 8 ? Number(sub.readBigInt64LE(0)) : 0,
  }
}

/** A 64-bit field as a number. */
function big(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}
