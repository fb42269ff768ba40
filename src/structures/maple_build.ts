/**
 * Writing a maple tree: the whole tree from its ranges, nodes filled from the left. The kernel changes trees in
 * place; what a reader finds is a valid tree over the same ranges.
 *
 * @see lib/maple_tree.c
 */

import type { Va } from '../base/addr.ts'
import type { Types } from '../btf/types.ts'
import type { WritableMemory } from '../memory/memory.ts'

/** @see include/linux/maple_tree.h */
const maple_leaf_64 = 1
const maple_arange_64 = 3
const RANGE_SLOTS = 16
const ARANGE_SLOTS = 10
const MAPLE_ENODE_NULL = 0x4
const MAPLE_ROOT_NODE = 0x2
const MA_ROOT_PARENT = 1
const MAPLE_PARENT_RANGE64 = 0x6
const MT_FLAGS_HEIGHT_OFFSET = 2
const MT_FLAGS_HEIGHT_MASK = 0x7c
const ULONG_MAX = (1n << 64n) - 1n

/** A stored pointer with the indexes it is stored for, both inclusive. */
export interface MapleRange {
  readonly first: bigint
  readonly last: bigint
  readonly entry: bigint
}

/** Where nodes come from: zeroed, 256 bytes, aligned to their size. */
export interface MapleNodes {
  alloc(): Va
  free(node: Va): void
}

/** A finished node: what its parent has to know. */
interface Built {
  readonly va: Va
  readonly type: number
  readonly last: bigint
  /** The longest run of empty indexes in it. */
  readonly gap: bigint
}

interface Slot {
  readonly last: bigint
  readonly entry: bigint
  readonly gap: bigint
}

/**
 * Store `ranges` (ascending, not overlapping) in an empty tree.
 * @param mt address of the `struct maple_tree`; its flags must be set
 * @returns the nodes used, for the next rebuild to free
 */
export function mt_build(
  types: Types,
  mem: WritableMemory,
  mt: Va,
  ranges: readonly MapleRange[],
  nodes: MapleNodes,
): Va[] {
  const used: Va[] = []
  const root = mt + types.offsetof('maple_tree', 'ma_root')
  const flagsVa = mt + types.offsetof('maple_tree', 'ma_flags')
  const flags = mem.u32(flagsVa) & ~MT_FLAGS_HEIGHT_MASK
  if (ranges.length === 0) {
    mem.setWord(root, 0n)
    mem.setU32(flagsVa, flags)
    return used
  }
  const writer = new MapleWriter(types, mem, nodes, used)
  let level = writer.leaves(slotsOf(ranges))
  let height = 1
  for (; level.length > 1; height++) level = writer.parents(level)
  const top = level[0] as Built
  mem.setWord(top.va, BigInt.asUintN(64, BigInt(mt)) | BigInt(MA_ROOT_PARENT))
  mem.setPointer(root, top.va + (top.type << 3) + MAPLE_ENODE_NULL + MAPLE_ROOT_NODE)
  mem.setU32(flagsVa, flags | (height << MT_FLAGS_HEIGHT_OFFSET))
  return used
}

/** Ranges and the holes between them, together all of the index space. */
function slotsOf(ranges: readonly MapleRange[]): Slot[] {
  const slots: Slot[] = []
  let next = 0n
  const hole = (last: bigint): void => {
    slots.push({ last, entry: 0n, gap: last - next + 1n })
  }
  for (const { first, last, entry } of ranges) {
    if (first > next) hole(first - 1n)
    slots.push({ last, entry, gap: 0n })
    next = last + 1n
  }
  if (next <= ULONG_MAX) hole(ULONG_MAX)
  return slots
}

class MapleWriter {
  private readonly types: Types
  private readonly mem: WritableMemory
  private readonly nodes: MapleNodes
  private readonly used: Va[]

  constructor(types: Types, mem: WritableMemory, nodes: MapleNodes, used: Va[]) {
    this.types = types
    this.mem = mem
    this.nodes = nodes
    this.used = used
  }

  private node(): Va {
    const va = this.nodes.alloc()
    this.used.push(va)
    return va
  }

  leaves(slots: readonly Slot[]): Built[] {
    const built: Built[] = []
    for (const part of split(slots, RANGE_SLOTS - 1)) {
      const va = this.node()
      this.fill(va, 'maple_range_64', part)
      built.push({
        va,
        type: maple_leaf_64,
        last: (part.at(-1) as Slot).last,
        gap: longest(part),
      })
    }
    return built
  }

  parents(children: readonly Built[]): Built[] {
    const { mem, types } = this
    const gaps = types.offsetof('maple_arange_64', 'gap')
    const built: Built[] = []
    for (const part of split(children, ARANGE_SLOTS - 1)) {
      const va = this.node()
      const slots = part.map((child) => ({
        last: child.last,
        entry: BigInt.asUintN(64, BigInt(child.va + (child.type << 3) + MAPLE_ENODE_NULL)),
        gap: child.gap,
      }))
      this.fill(va, 'maple_arange_64', slots)
      part.forEach((child, i) => {
        mem.setWord(va + gaps + i * mem.wordSize, child.gap)
        mem.setPointer(child.va, va + (i << 3) + MAPLE_PARENT_RANGE64)
      })
      const most = longest(slots)
      const meta = types.offsetof('maple_arange_64', 'meta')
      mem.setU8(
        va + meta + 1,
        slots.findIndex(({ gap }) => gap === most),
      )
      built.push({ va, type: maple_arange_64, last: (part.at(-1) as Built).last, gap: most })
    }
    return built
  }

  /** Pivots, slots and where they end. */
  private fill(va: Va, struct: 'maple_range_64' | 'maple_arange_64', slots: readonly Slot[]): void {
    const { mem, types } = this
    const pivots = va + types.offsetof(struct, 'pivot')
    const first = va + types.offsetof(struct, 'slot')
    slots.forEach(({ last, entry }, i) => {
      mem.setWord(pivots + i * mem.wordSize, last)
      mem.setWord(first + i * mem.wordSize, entry)
    })
    mem.setU8(va + types.offsetof(struct, 'meta'), slots.length - 1)
  }
}

const longest = (slots: readonly Slot[]): bigint =>
  slots.reduce((most, { gap }) => (gap > most ? gap : most), 0n)

/** Parts of at most `max`, as even as they come. */
function split<T>(items: readonly T[], max: number): T[][] {
  const count = Math.ceil(items.length / max)
  const size = Math.ceil(items.length / count)
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size)).filter(
    (p) => p.length > 0,
  )
}
