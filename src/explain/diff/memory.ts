/** Two memories compared page by page, and what differs named by object: for two moments of a dump, or two dumps. */

import { toAddr, type Va } from '../../base/addr.ts'
import { strip } from '../../btf/type.ts'
import { possible_cpus, per_cpu_offset } from '../../helpers/percpu.ts'
import { PAGE_SIZE } from '../../vmcore/container.ts'
import type { Target } from '../../target/target.ts'
import { placeOf, type Named } from '../place.ts'
import { bytesAt, memberChanges, writerOf, type MemberChange, type Writer } from './objects.ts'

/** An object of which something changed, or memory without a type. */
export interface ObjectChange {
  /** `tcp_sock`, `kmalloc-1k`, `kernel stack of PID 7 "ncat"`, `runqueues of CPU 1`, `memory` */
  readonly object: string
  readonly address: bigint
  /** bytes of it that differ */
  readonly bytes: number
  /** none for memory whose type is not known */
  readonly members: readonly MemberChange[]
  /** of the first byte that differs, where there are no members */
  readonly writer: Writer | undefined
}

export interface MemoryDiff {
  /** pages looked at and pages that differ */
  readonly pages: number
  readonly pagesChanged: number
  /** pages that one of the two lacks: no statement is made of them */
  readonly pagesMissing: number
  readonly objects: readonly ObjectChange[]
}

/** A run of bytes that differ, shorter gaps taken with it. */
interface Run {
  readonly va: Va
  readonly size: number
}

const GAP = 8

/** @param progress  told how many pages of how many have been compared, now and then */
export function diffMemory(
  before: Target,
  after: Target,
  progress: (done: number, of: number) => void = () => undefined,
): MemoryDiff {
  const names = new Names(after)
  const found = new Map<string, { place: Named; runs: Run[] }>()
  const counts = { pages: 0, pagesChanged: 0, pagesMissing: 0 }
  const total = after.container.ranges.reduce((sum, { startPfn, endPfn }) => sum + endPfn - startPfn, 0)
  for (const { startPfn, endPfn } of after.container.ranges) {
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      if ((counts.pages++ & 0xfff) === 0) progress(counts.pages, total)
      const [old, now] = [before.phys.page(pfn), after.phys.page(pfn)]
      if (typeof old === 'string' || typeof now === 'string') {
        if (typeof old !== typeof now) counts.pagesMissing++
        continue
      }
      if (old === now || Buffer.compare(old, now) === 0) continue
      counts.pagesChanged++
      for (const run of runsOf(old, now, names.addressOf(pfn))) collect(found, names.name(run.va), run)
    }
  }
  const objects = [...found.values()].map(({ place, runs }) => changeOf(before, after, place, runs))
  return { ...counts, objects: objects.sort((a, b) => (a.address < b.address ? -1 : 1)) }
}

function collect(found: Map<string, { place: Named; runs: Run[] }>, place: Named, run: Run): void {
  const key = `${place.object} ${place.address}`
  const known = found.get(key)
  if (known === undefined) found.set(key, { place, runs: [run] })
  else known.runs.push(run)
}

function* runsOf(old: Uint8Array, now: Uint8Array, base: Va): Generator<Run> {
  let start = -1
  let last = -1
  for (let i = 0; i < PAGE_SIZE; i++) {
    if (old[i] === now[i]) continue
    if (start >= 0 && i - last > GAP) {
      yield { va: base + start, size: last + 1 - start }
      start = -1
    }
    if (start < 0) start = i
    last = i
  }
  if (start >= 0) yield { va: base + start, size: last + 1 - start }
}

function changeOf(before: Target, after: Target, place: Named, runs: readonly Run[]): ObjectChange {
  const bytes = runs.reduce((sum, { size }) => sum + size, 0)
  const [first] = runs as [Run]
  const { object, address } = place
  const members = typedChanges(before, after, place, first.va)
  const writer = members.length > 0 ? undefined : writerOf(after, first.va, first.size)
  return { object, address: address === 0n ? toAddr(first.va) : address, bytes, members, writer }
}

/** Members that changed, where the object's type is known. */
function typedChanges(before: Target, after: Target, place: Named, at: Va): MemberChange[] {
  const { types } = after
  const type = types.findStruct(place.object) ?? globalType(after, place.object)
  if (type === undefined || place.address === 0n) return []
  const va = at - Number(toAddr(at) - place.address)
  const size = types.sizeof(type)
  const [old, now] = [bytesAt(before, va, size), bytesAt(after, va, size)]
  if (old === undefined || now === undefined) return []
  return memberChanges(after, { type, va, bytes: old }, { type, va, bytes: now })
}

function globalType(target: Target, object: string) {
  const type = target.typeOf(object.replace(/ of CPU \d+$/, ''))
  return type === undefined || strip(type).kind === 'func' ? undefined : type
}

/** Names for physical pages: those of the image by their symbols, per-CPU areas by theirs, others in the direct map. */
class Names {
  readonly #target: Target
  readonly #image: { readonly phys: number; readonly end: number; readonly va: Va } | undefined
  readonly #areas: readonly { readonly cpu: number; readonly offset: Va }[]
  readonly #perCpu: { readonly start: Va; readonly size: number } | undefined

  constructor(target: Target) {
    this.#target = target
    const [start, end] = ['_text', '_end'].map((name) => this.#symbol(name))
    const phys = start === undefined ? undefined : target.virtToPhys(start)
    if (start !== undefined && end !== undefined && phys !== undefined)
      this.#image = { phys, end: phys + end - start, va: start }
    const [from, to] = ['__per_cpu_start', '__per_cpu_end'].map((name) => this.#symbol(name))
    this.#perCpu = from === undefined || to === undefined ? undefined : { start: from, size: to - from }
    this.#areas = possible_cpus(target).map((cpu) => ({ cpu, offset: per_cpu_offset(target, cpu) }))
  }

  #symbol(name: string): Va | undefined {
    return this.#target.symbols.has(name) ? this.#target.symVa(name) : undefined
  }

  /** Where the kernel sees a page. */
  addressOf(pfn: number): Va {
    const phys = pfn * PAGE_SIZE
    const image = this.#image
    if (image !== undefined && phys >= image.phys && phys < image.end) return image.va + (phys - image.phys)
    return this.#target.pageOffset + phys
  }

  name(va: Va): Named {
    return (
      this.#inPerCpu(va) ??
      placeOf(this.#target, va) ?? {
        object: 'memory',
        address: toAddr(va - (((va % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE)),
        offset: 0,
        member: undefined,
        alias: undefined,
      }
    )
  }

  #inPerCpu(va: Va): Named | undefined {
    const area = this.#perCpu
    if (area === undefined) return undefined
    const own = this.#areas.find(
      ({ offset }) => va - offset >= area.start && va - offset < area.start + area.size,
    )
    if (own === undefined || own.offset === 0) return undefined
    const hit = this.#target.symbolize(va - own.offset)
    if (hit === undefined) return undefined
    const object = `${hit.name} of CPU ${own.cpu}`
    return {
      object,
      address: toAddr(va - hit.offset),
      offset: hit.offset,
      member: undefined,
      alias: undefined,
    }
  }
}
