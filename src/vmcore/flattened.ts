/** makedumpfile's flattened stream (`-F`, QEMU's kdump): blocks with their positions, put in order as we read. */

import { DumpError } from '../base/errors.ts'
import type { ByteSource } from './container.ts'

const SIGNATURE = Buffer.from('makedumpfile\0\0\0\0')
const HEAD_SIZE = 4096
const RECORD_HEAD = 16
/** Bytes looked at together while the records are listed: most records are small. */
const WINDOW = 1 << 16
/** A writer rewrites its headers; thousands of records over one place are an attack. */
const MAX_OVERLAPPING = 1024

/** A stretch of the original file, and where it lies in the stream. */
interface Extent {
  readonly start: number
  readonly end: number
  readonly position: number
}

/** The file inside a flattened stream; `undefined` when the source is not one. */
export function openFlattened(source: ByteSource): ByteSource | undefined {
  if (source.size < HEAD_SIZE) return undefined
  if (!SIGNATURE.equals(source.read(0, SIGNATURE.length))) return undefined
  const head = Buffer.from(source.read(16, 16))
  const type = head.readBigInt64BE(0)
  const version = head.readBigInt64BE(8)
  if (type !== 1n || version !== 1n)
    throw new DumpError(
      'BAD_VERSION',
      source.path,
      16,
      `flattened stream of type ${type}, version ${version}`,
    )
  return new FlattenedSource(source, readExtents(source))
}

/**
 * List the records. A stream cut short gives what came before the cut: the error comes when the rest is asked for.
 * @throws DumpError BAD_FORMAT when a record's head makes no sense
 */
function readExtents(source: ByteSource): Extent[] {
  const extents: Extent[] = []
  let window = Buffer.alloc(0)
  let windowAt = 0
  let at = HEAD_SIZE
  while (at + RECORD_HEAD <= source.size) {
    if (at < windowAt || at + RECORD_HEAD > windowAt + window.length) {
      windowAt = at
      window = Buffer.from(source.read(at, Math.min(WINDOW, source.size - at)))
    }
    const start = Number(window.readBigInt64BE(at - windowAt))
    const length = Number(window.readBigInt64BE(at - windowAt + 8))
    if (start === -1 && length === -1) break
    if (start < 0 || length < 0)
      throw new DumpError('BAD_FORMAT', source.path, at, `record of ${length} bytes for position ${start}`)
    const position = at + RECORD_HEAD
    const end = start + Math.min(length, source.size - position)
    const last = extents.at(-1)
    if (end > start) {
      if (last?.end === start && last.position + (last.end - last.start) === position)
        extents[extents.length - 1] = { ...last, end }
      else extents.push({ start, end, position })
    }
    at = position + length
  }
  return inOrder(source.path, extents)
}

/** Sorted and without overlaps: a later record replaces what an earlier one wrote. */
function inOrder(path: string, extents: readonly Extent[]): Extent[] {
  const sorted = extents
    .map((extent, age) => ({ extent, age }))
    .sort((a, b) => a.extent.start - b.extent.start)
  const result: Extent[] = []
  let cluster: typeof sorted = []
  let end = -1
  const flush = (): void => {
    if (cluster.length > MAX_OVERLAPPING)
      throw new DumpError('BAD_FORMAT', path, -1, `${cluster.length} records of the stream overlap`)
    cluster.sort((a, b) => a.age - b.age)
    for (const extent of cutOverlaps(cluster.map((c) => c.extent))) result.push(extent)
    cluster = []
  }
  for (const each of sorted) {
    if (each.extent.start >= end) flush()
    cluster.push(each)
    end = Math.max(end, each.extent.end)
  }
  flush()
  return result
}

/** In order of age; quadratic, for the few records that write a place twice. */
function cutOverlaps(extents: readonly Extent[]): Extent[] {
  if (extents.length === 1) return [...extents]
  let kept: Extent[] = []
  for (const extent of extents) {
    const next: Extent[] = []
    for (const old of kept) {
      if (old.end <= extent.start || old.start >= extent.end) {
        next.push(old)
        continue
      }
      if (old.start < extent.start) next.push({ ...old, end: extent.start })
      if (old.end > extent.end)
        next.push({ start: extent.end, end: old.end, position: old.position + extent.end - old.start })
    }
    next.push(extent)
    kept = next
  }
  return kept.sort((a, b) => a.start - b.start)
}

class FlattenedSource implements ByteSource {
  readonly path: string
  readonly size: number
  readonly wrapping = ', flattened'
  readonly #source: ByteSource
  readonly #extents: readonly Extent[]

  constructor(source: ByteSource, extents: readonly Extent[]) {
    this.path = source.path
    this.#source = source
    this.#extents = extents
    this.size = extents.at(-1)?.end ?? 0
  }

  read(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.size)
      throw new DumpError(
        'TRUNCATED',
        this.path,
        offset,
        `needs ${length} bytes here, but it ends at ${this.size}`,
      )
    const bytes = new Uint8Array(length)
    const end = offset + length
    for (let i = this.#first(offset); i < this.#extents.length; i++) {
      const extent = this.#extents[i] as Extent
      if (extent.start >= end) break
      const from = Math.max(offset, extent.start)
      const to = Math.min(end, extent.end)
      bytes.set(this.#source.read(extent.position + from - extent.start, to - from), from - offset)
    }
    return bytes
  }

  close(): void {
    this.#source.close()
  }

  /** The first extent that ends after `offset`. */
  #first(offset: number): number {
    let low = 0
    let high = this.#extents.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#extents[middle] as Extent).end <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
