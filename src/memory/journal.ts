/**
 * The write journal: one row for every store of the simulated kernel, in typed columns. `why` walks it
 * backwards: who stored this byte last, and where did the value come from?
 */

import { DumpError } from '../base/errors.ts'
import type { Va } from '../base/addr.ts'
import { SourceKind } from './memory.ts'

const BLOCK_ROWS = 1 << 15
const KINDS = [SourceKind.None, SourceKind.Memory, SourceKind.Packet, SourceKind.Syscall, SourceKind.Scenario]
/** Bytes of one row in the serialized form, see {@link Journal.serialize}. */
const ROW_BYTES = 8 + 8 + 8 + 4 + 4 + 2 + 1

/** One store. */
export interface Write {
  readonly row: number
  readonly va: Va
  readonly size: number
  /** The value stored, when it was 1, 2, 4 or 8 bytes. */
  readonly value: bigint
  /** Index into the table of kernel functions. */
  readonly site: number
  readonly step: number
  readonly kind: SourceKind
  /** Where the value was copied from; its meaning depends on `kind`. */
  readonly from: number
}

interface Block {
  readonly va: Float64Array
  readonly from: Float64Array
  readonly value: BigUint64Array
  readonly size: Uint32Array
  readonly step: Uint32Array
  readonly site: Uint16Array
  readonly kind: Uint8Array
}

const newBlock = (rows = BLOCK_ROWS): Block => ({
  va: new Float64Array(rows),
  from: new Float64Array(rows),
  value: new BigUint64Array(rows),
  size: new Uint32Array(rows),
  step: new Uint32Array(rows),
  site: new Uint16Array(rows),
  kind: new Uint8Array(rows),
})

/** Append-only columns, in blocks so that a long run never copies what it has written. */
export class Journal {
  /** The kernel function that is running: the site of the stores that follow. */
  site = 0
  /** The scenario step that is running. */
  step = 0
  /** Off: stores are not recorded (the boot image is laid out by the thousand pages). */
  enabled = true
  length = 0
  private readonly blocks: Block[] = []
  private block: Block = newBlock(0)
  private used = 0
  private capacity = 0
  private words: Uint32Array = new Uint32Array(0)

  record(va: Va, size: number, low: number, high: number, kind: SourceKind, from: number): void {
    if (!this.enabled) return
    if (this.used === this.capacity) this.grow()
    const i = this.used++
    const block = this.block
    block.va[i] = va
    block.size[i] = size
    this.words[2 * i] = low
    this.words[2 * i + 1] = high
    block.site[i] = this.site
    block.step[i] = this.step
    block.kind[i] = kind
    block.from[i] = from
    this.length++
  }

  at(row: number): Write {
    const block = this.blocks[Math.floor(row / BLOCK_ROWS)]
    const i = row % BLOCK_ROWS
    if (block === undefined || row < 0 || row >= this.length) throw new RangeError(`journal row ${row}`)
    return {
      row,
      va: block.va[i] as number,
      size: block.size[i] as number,
      value: block.value[i] as bigint,
      site: block.site[i] as number,
      step: block.step[i] as number,
      kind: KINDS[block.kind[i] as number] ?? SourceKind.None,
      from: block.from[i] as number,
    }
  }

  /** The last store before row `before` into any of the `size` bytes from `va` on. */
  lastWrite(va: Va, before = this.length, size = 1): Write | undefined {
    for (let row = Math.min(before, this.length) - 1; row >= 0; row--) {
      const block = this.blocks[Math.floor(row / BLOCK_ROWS)] as Block
      const i = row % BLOCK_ROWS
      const start = block.va[i] as number
      if (va + size > start && va < start + (block.size[i] as number)) return this.at(row)
    }
    return undefined
  }

  /** u32 count, u32 reserved, then each column in full: va, from, value (8 bytes), size, step (4), site (2), kind (1). */
  serialize(): Uint8Array {
    const out = new Uint8Array(8 + this.length * ROW_BYTES)
    new DataView(out.buffer).setUint32(0, this.length, true)
    let at = 8
    for (const column of ['va', 'from', 'value', 'size', 'step', 'site', 'kind'] as const) {
      let left = this.length
      for (const block of this.blocks) {
        const source = block[column]
        const bytes = new Uint8Array(source.buffer, 0, Math.min(left, BLOCK_ROWS) * source.BYTES_PER_ELEMENT)
        out.set(bytes, at)
        at += bytes.length
        left -= Math.min(left, BLOCK_ROWS)
      }
    }
    return out
  }

  /** @throws DumpError TRUNCATED when the bytes do not hold the rows they announce */
  static parse(bytes: Uint8Array, path: string): Journal {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const length = bytes.length < 8 ? 0 : view.getUint32(0, true)
    if (bytes.length < 8 || bytes.length !== 8 + length * ROW_BYTES) {
      throw new DumpError('TRUNCATED', path, 0, 'the write journal is shorter than it says')
    }
    const journal = new Journal()
    const blocks = Math.ceil(length / BLOCK_ROWS)
    for (let i = 0; i < blocks; i++) journal.blocks.push(newBlock())
    let at = 8
    for (const column of ['va', 'from', 'value', 'size', 'step', 'site', 'kind'] as const) {
      let left = length
      for (const block of journal.blocks) {
        const target = block[column]
        const size = Math.min(left, BLOCK_ROWS) * target.BYTES_PER_ELEMENT
        new Uint8Array(target.buffer, 0, size).set(bytes.subarray(at, at + size))
        at += size
        left -= Math.min(left, BLOCK_ROWS)
      }
    }
    journal.length = length
    journal.enabled = false
    return journal
  }

  private grow(): void {
    this.block = newBlock()
    this.blocks.push(this.block)
    this.words = new Uint32Array(this.block.value.buffer)
    this.used = 0
    this.capacity = BLOCK_ROWS
  }
}
