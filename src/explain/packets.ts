/** The frames a dump keeps: the capture of everything that passed the machine's cards, by frame number. */

import { DumpError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'
import { rowsOf } from './history.ts'

/** @see https://www.tcpdump.org/manpages/pcap-savefile.5.html */
const PCAP_MICROSECONDS = 0xa1b2c3d4
const PCAP_NANOSECONDS = 0xa1b23c4d
const FILE_HEADER = 24
const RECORD_HEADER = 16
/** No frame of ours is longer; a longer one is damage. */
const FRAME_MAX = 262144

const captures = new WeakMap<object, readonly Uint8Array[]>()

/**
 * The frames of the dump's capture, in order; none when it keeps none.
 * @throws DumpError TRUNCATED, BAD_MAGIC when the capture is damaged
 */
export function framesOf(target: Target): readonly Uint8Array[] {
  const key = target.container
  let frames = captures.get(key)
  if (frames === undefined) {
    const bytes = target.section('packets')
    frames = bytes === undefined ? [] : parsePcap(bytes, target.path)
    captures.set(key, frames)
  }
  return frames
}

/** What the recorder noted beside a frame. */
export interface FrameNote {
  readonly number: number
  /** virtual time in nanoseconds */
  readonly atNs: number
  readonly device: string
  readonly direction: 'in' | 'out' | 'loop'
}

export const frameNoteOf = (target: Target, number: number): FrameNote | undefined =>
  rowsOf<FrameNote>(target, 'frames')[number - 1]

/** A frame by its number, from 1; undefined when the dump does not keep it. */
export const frameOf = (target: Target, number: number): Uint8Array | undefined =>
  framesOf(target)[number - 1]

/** @throws DumpError */
function parsePcap(bytes: Uint8Array, path: string): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < FILE_HEADER) throw new DumpError('TRUNCATED', path, 0, 'the capture has no header')
  const magic = view.getUint32(0, true)
  if (magic !== PCAP_MICROSECONDS && magic !== PCAP_NANOSECONDS) {
    throw new DumpError('BAD_MAGIC', path, 0, `the capture begins with ${magic.toString(16)}`)
  }
  const frames: Uint8Array[] = []
  for (let at = FILE_HEADER; at < bytes.length;) {
    const length = at + RECORD_HEADER <= bytes.length ? view.getUint32(at + 8, true) : FRAME_MAX + 1
    const end = at + RECORD_HEADER + length
    if (length > FRAME_MAX || end > bytes.length) {
      throw new DumpError('TRUNCATED', path, at, `frame ${frames.length + 1} of the capture is cut`)
    }
    frames.push(bytes.subarray(at + RECORD_HEADER, end))
    at = end
  }
  return frames
}
