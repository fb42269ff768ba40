/**
 * Damage aimed at what commands follow: the words a command reads of a good dump are noted, and some of them changed —
 * pointers into cycles, loops and the void, counts into absurd ones, page-table entries into loops — while the tables
 * that opening needs (kallsyms, BTF) stay whole. Work is counted in words read, never in time.
 */

import type { Va } from '../../src/base/addr.ts'
import type { Random } from '../../src/base/random.ts'
import { Target } from '../../src/target/target.ts'
import { VirtualMemory } from '../../src/target/virtual-memory.ts'
import type { Container } from '../../src/vmcore/container.ts'
import { Vmcoreinfo } from '../../src/vmcore/vmcoreinfo.ts'

const PAGE = 4096

/** A word a command has read. */
export interface Place {
  readonly va: Va
  readonly size: 4 | 8
}

/** More words than the case may read were read: something does not end. */
export class TooMuchWork extends Error {
  constructor(words: number) {
    super(`more than ${words} words were read`)
  }
}

const READERS = ['u8', 'u16', 'u32', 'u64', 'pointer', 'read'] as const
const SIZES: Readonly<Partial<Record<string, 4 | 8>>> = { u32: 4, u64: 8, pointer: 8 }

interface Watch {
  words: number
  readonly limit: number
  readonly places: Map<Va, Place> | undefined
  readonly of: VirtualMemory | undefined
}

let watch: Watch | undefined

/** @throws TooMuchWork */
function work(words: number): void {
  if (watch === undefined) return
  watch.words += words
  if (watch.words > watch.limit) throw new TooMuchWork(watch.limit)
}

/** Count every read of virtual memory in this process from now on. */
function instrument(): void {
  const methods = VirtualMemory.prototype as unknown as Record<string, (va: Va, size?: number) => unknown>
  if ('watched' in methods) return
  Object.defineProperty(methods, 'watched', { value: true })
  for (const name of READERS) {
    const plain = methods[name] as (va: Va, size?: number) => unknown
    methods[name] = function (this: VirtualMemory, va: Va, size?: number): unknown {
      if (watch !== undefined) {
        work(name === 'read' ? 1 + (size ?? 0) / 64 : 1)
      }
      const value = plain.call(this, va, size)
      // what could not be read is no place to damage
      const bytes = watch?.of === this ? SIZES[name] : undefined
      if (bytes !== undefined) {
        watch?.places?.set(va, { va, size: name === 'pointer' ? this.wordSize : bytes })
      }
      return value
    }
  }
}

/** Words read while `work` runs. @throws TooMuchWork */
export async function counted(limit: number, work: () => Promise<unknown>): Promise<number> {
  instrument()
  const mine: Watch = { words: 0, limit, places: undefined, of: undefined }
  watch = mine
  try {
    await work()
  } finally {
    watch = undefined
  }
  return mine.words
}

/** The words of kernel memory read while `work` runs, each once. */
export async function placesOf(target: Target, work: () => Promise<unknown>): Promise<Place[]> {
  instrument()
  const places = new Map<Va, Place>()
  watch = { words: 0, limit: Infinity, places, of: target.mem }
  try {
    await work()
  } finally {
    watch = undefined
  }
  return [...places.values()]
}

/** A good dump and targets over damaged copies of it that share its symbols and types. */
export class Damageable {
  readonly good: Target
  readonly #container: Container
  readonly #shared: ConstructorParameters<typeof Target>[1]

  constructor(opened: Target) {
    const { container } = opened
    this.#container = { ...plain(container), memory: opened.phys, history: undefined }
    this.#shared = {
      vmcoreinfo: new Vmcoreinfo(opened.vmcoreinfo.text),
      namelistPath: undefined,
      kept: undefined,
      progress: undefined,
    }
    this.good = new Target(this.#container, this.#shared, undefined)
    // read once, of good memory: what is damaged later is not these
    void this.good.symbols.findKernel('init_task')
    this.good.types.has('task_struct')
  }

  /** @param changed pages by frame number */
  over(changed: ReadonlyMap<number, Uint8Array>): Target {
    const { memory } = this.#container
    const page = (pfn: number): ReturnType<typeof memory.page> => {
      work(1)
      return changed.get(pfn) ?? memory.page(pfn)
    }
    const damaged = { pageSize: PAGE, page }
    return new Target({ ...this.#container, memory: damaged }, this.#shared, undefined)
  }
}

/** A container's properties, getters read, so that a copy can differ. */
const plain = (container: Container): Container => ({
  format: container.format,
  path: container.path,
  memory: container.memory,
  ranges: container.ranges,
  notes: container.notes,
  vmcoreinfo: container.vmcoreinfo,
  wordSize: container.wordSize,
  history: undefined,
  warnings: [],
  stats: { pagesRead: 0, bytesRead: 0 },
  close: () => undefined,
})

/** Pages changed so far. */
export class Changes {
  readonly pages = new Map<number, Uint8Array>()
  /** what was done, for the message of a failing case */
  readonly log: string[] = []
  readonly #good: Target

  constructor(good: Target) {
    this.#good = good
  }

  /** Store little-endian bytes at a physical address. */
  pokePhys(phys: number, value: bigint, size: number): void {
    for (let i = 0; i < size; i++) {
      const pfn = Math.floor((phys + i) / PAGE)
      let page = this.pages.get(pfn)
      if (page === undefined) {
        const old = this.#good.phys.page(pfn)
        if (typeof old === 'string') return
        this.pages.set(pfn, (page = Uint8Array.from(old)))
      }
      page[(phys + i) % PAGE] = Number((value >> BigInt(8 * i)) & 0xffn)
    }
  }

  /** Change a word a command reads: where it points, or what it counts. */
  damage(place: Place, others: readonly Place[], random: Random): void {
    const phys = this.#good.virtToPhys(place.va)
    if (phys === undefined) return
    const { wordSize } = this.#good
    const other = others[random.below(others.length)] as Place
    const bits = BigInt(place.size * 8)
    const at = (va: Va): bigint => BigInt.asUintN(Number(bits), BigInt(va))
    const choices: readonly (readonly [string, bigint])[] = [
      ['self', at(place.va)],
      ['before itself', at(place.va - wordSize * random.below(16))],
      ['another place', at(other.va)],
      ['into another place', at(other.va - wordSize * random.below(32))],
      ["another's value", this.#valueOf(other)],
      ['null', 0n],
      ['poison', 0xdead_0000_0000_0122n],
      ['not canonical', 0x8000_0000_dead_beefn],
      ['all ones', (1n << bits) - 1n],
      ['large', 0x7fff_ffffn],
      ['odd', at(other.va + 3)],
      ['random', BigInt(random.below(2 ** 31)) << BigInt(random.below(33))],
      ['flipped', this.#valueOf(place) ^ (1n << BigInt(random.below(place.size * 8)))],
    ]
    const [kind, value] = choices[random.below(choices.length)] as readonly [string, bigint]
    this.log.push(`${kind} at ${at(place.va).toString(16)}`)
    this.pokePhys(phys, value, place.size)
  }

  #valueOf({ va, size }: Place): bigint {
    return size === 8 ? this.#good.mem.u64(va) : BigInt(this.#good.mem.u32(va))
  }

  /** Make an entry of the page tables on the way to an address lead to a table (a loop), elsewhere, or nowhere. */
  damageTable(va: Va, random: Random): void {
    const { entries } = this.#good.walk(va)
    const entry = entries[random.below(entries.length)]
    if (entry === undefined) return
    const size = this.#good.space.mode === 'i386' ? 4 : 8
    const flags = entry.value & 0xfffn
    const table = entries[random.below(entries.length)] ?? entry
    const frame = (address: number): bigint => BigInt(Math.floor(address / PAGE)) * BigInt(PAGE)
    const choices: readonly (readonly [string, bigint])[] = [
      ['its own table', frame(entry.entryAddr) | flags],
      ['a table above or below', frame(table.entryAddr) | flags],
      ['the root', frame(entries[0]?.entryAddr ?? 0) | flags],
      ['a large page', entry.value | 0x80n],
      ['nothing', 0n],
      ['beyond memory', 0x000f_ffff_ffff_f000n | flags],
      ['random', BigInt(random.below(2 ** 31)) << BigInt(random.below(33))],
      ['inverted', entry.value ^ 0x101n],
    ]
    const [kind, value] = choices[random.below(choices.length)] as readonly [string, bigint]
    this.log.push(`${entry.level} at ${entry.entryAddr.toString(16)}: ${kind}`)
    this.pokePhys(entry.entryAddr, value, size)
  }
}
