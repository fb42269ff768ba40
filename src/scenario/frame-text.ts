/** A packet in words. */

import { flagNames, ipText, parseTcp } from '../linux/net/wire/segments.ts'
import type { Frame } from '../linux/net/wire/wire.ts'

/** One line of a capture. */
export function describeFrame(frame: Frame): string {
  const s = parseTcp(frame.bytes)
  if (s === undefined) return `${frame.bytes.length} bytes on ${frame.device}, not TCP`
  const ends = `${ipText(s.source)}:${s.sourcePort} > ${ipText(s.target)}:${s.targetPort}`
  return `${ends} ${flagNames(s.flags).join('|')} seq ${s.seq} ack ${s.ack} win ${s.window} length ${s.payload.length}`
}
