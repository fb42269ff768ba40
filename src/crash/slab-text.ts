/** The text of `kmem -s` and `kmem -S`: caches, their slabs, and the objects of those. */

import { hex, toAddr } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import {
  cache_name,
  cache_row,
  cpu_slabs,
  node_slabs,
  partial_slabs,
  slab_objects,
  slab_row,
  type CacheRow,
  type CpuSlab,
  type ObjectRow,
  type SlabRow,
} from '../helpers/slab.ts'
import { addressWidth } from '../render/columns.ts'
import type { Target } from '../target/target.ts'

const KIB = 1024

const address = (target: Target, value: bigint): string => hex(value).padEnd(addressWidth(target.wordSize))
const right = (value: number, width: number): string => String(value).padStart(width)

/** The line above {@link cacheLine}. */
export const cacheHeader = (target: Target): string =>
  `${'CACHE'.padEnd(addressWidth(target.wordSize))}  OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME\n`

export function cacheLine(target: Target, row: CacheRow): string {
  const counts = `${right(row.allocated, 9)}  ${right(row.total, 8)}  ${right(row.slabs, 5)}`
  const size = `${right(row.slab_size / KIB, 4)}k`
  return `${address(target, row.cache)}  ${right(row.object_size, 7)}  ${counts}  ${size}  ${row.name}\n`
}

const slabHeader = (target: Target): string => {
  const width = addressWidth(target.wordSize)
  return `  ${'SLAB'.padEnd(width)}  ${'MEMORY'.padEnd(width)}  NODE  TOTAL  ALLOCATED  FREE\n`
}

function slabLine(target: Target, row: SlabRow): string {
  const counts = `${right(row.node, 4)}  ${right(row.total, 5)}  ${right(row.allocated, 9)}  ${right(row.total - row.allocated, 4)}`
  return `  ${address(target, row.slab)}  ${address(target, row.memory)}  ${counts}\n`
}

const OBJECTS = '  FREE / [ALLOCATED]\n'

function objectLine({ object, allocated, cpu }: ObjectRow): string {
  if (allocated) return `  [${hex(object)}]\n`
  return `   ${hex(object)}  ${cpu === undefined ? '' : `(cpu ${cpu} cache)`}\n`
}

/** A slab in `--json`. */
export interface SlabJson extends SlabRow {
  readonly objects: readonly ObjectRow[]
}

export interface SlabText {
  readonly row: SlabJson
  readonly text: string
}

/**
 * A slab with its objects.
 * @param only the one object that is asked for
 */
export function slabText(
  target: Target,
  cache: StructRef,
  slab: StructRef,
  owner: CpuSlab | undefined,
  only?: bigint,
): SlabText {
  const row = slab_row(target, slab, owner?.free)
  const objects: ObjectRow[] = []
  for (const object of slab_objects(target, cache, slab, owner)) {
    if (only === undefined || object.object === only) objects.push(object)
  }
  const lines = objects.map(objectLine).join('')
  return {
    row: { ...row, objects },
    text: `${slabHeader(target)}${slabLine(target, row)}${OBJECTS}${lines}`,
  }
}

/** A cache in `kmem -S --json`. */
export interface CacheJson extends CacheRow {
  readonly cpus: readonly { readonly cpu: number; readonly slabs: readonly SlabJson[] }[]
  readonly nodes: readonly { readonly nid: number; readonly partial: readonly SlabRow[] }[]
}

/** The line of a cache that is not looked into. */
export function ignoredLine(target: Target, cache: StructRef): string {
  const blank = ' '.repeat(cacheHeader(target).indexOf('NAME') - addressWidth(target.wordSize))
  return `${address(target, cache.$addr)}${blank}${cache_name(cache)}  [IGNORED]\n`
}

/**
 * A cache with all slabs that can be found: those of the CPUs and those that are partly free.
 * @param only slabs of these CPUs
 */
export function cacheText(
  target: Target,
  cache: StructRef,
  only?: readonly number[],
): { row: CacheJson; text: string } {
  const summary = cache_row(target, cache)
  const pieces = [cacheHeader(target), cacheLine(target, summary)]
  const perNode = new Map<number, number>()
  const parts = [...cpu_slabs(target, cache)].filter(({ cpu }) => only === undefined || only.includes(cpu))
  const cpus = parts.map((part) => {
    const { cpu, slab, partial } = part
    const slabs: SlabText[] = []
    pieces.push(`CPU ${cpu} KMEM_CACHE_CPU:\n  ${hex(toAddr(part.at))}\nCPU ${cpu} SLAB:\n`)
    if (slab === undefined) pieces.push('  (empty)\n')
    else {
      const own = slabText(target, cache, slab, part)
      perNode.set(own.row.node, (perNode.get(own.row.node) ?? 0) + 1)
      slabs.push(own)
      pieces.push(own.text)
    }
    const others = partial.map((other) => slabText(target, cache, other, undefined))
    pieces.push(`CPU ${cpu} PARTIAL:\n`, others.map(({ text }) => text).join('') || '  (empty)\n')
    return { cpu, slabs: [...slabs, ...others].map(({ row }) => row) }
  })
  const nodes = [...node_slabs(target, cache)].map(({ nid, node }) => {
    const partial = [...partial_slabs(target, node)].map((slab) => slab_row(target, slab))
    const slabs = node.$has('nr_slabs') ? Number(node.$int('nr_slabs.counter')) : 0
    const width = addressWidth(target.wordSize)
    const counts = `${right(nid, 4)}  ${right(slabs, 5)}  ${right(partial.length, 7)}  ${right(perNode.get(nid) ?? 0, 7)}`
    pieces.push(`${'KMEM_CACHE_NODE'.padEnd(width)}  NODE  SLABS  PARTIAL  PER-CPU\n`)
    pieces.push(`${address(target, node.$addr)}  ${counts}\nNODE ${nid} PARTIAL:\n`)
    const lines = partial.map((row) => slabLine(target, row)).join('')
    pieces.push(lines === '' ? '  (empty)\n' : slabHeader(target) + lines)
    pieces.push(`NODE ${nid} FULL:\n  (not tracked)\n`)
    return { nid, partial }
  })
  return { row: { ...summary, cpus, nodes }, text: `${pieces.join('')}\n` }
}
