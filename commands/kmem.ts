import { addressArgument } from '../src/crash/address-argument.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { addressesReport, vmapReport } from '../src/crash/kmem-address.ts'
import { memoryReport } from '../src/crash/kmem-memory.ts'
import { flagsReport, hugeReport, offsetsReport, statisticsReport } from '../src/crash/kmem-more.ts'
import { cachesReport } from '../src/crash/kmem-slab.ts'
import { zonesReport } from '../src/crash/kmem-zones.ts'
import { Misuse } from '../src/crash/misuse.ts'

/** Rows: {@link KmemAddress} each; `-s` and `-S`: {@link CacheRow}; `-i`: {@link MemoryRow}; `-v`: {@link VmapRow}. */
export default class Kmem extends DumpCommand {
  static override summary = 'memory: what is at an address, slab caches, vmalloc areas, how much is used'
  static override synopsis = 'kmem [-i|-v|-V|-z|-o|-g|-h] | [-s|-S] [slab|address] ... | address ...'
  static override examples = ['kmem -i', 'kmem -s TCP', 'kmem ffff8be5849fb080']
  static override crashFlags = {
    i: { summary: 'how much memory is used for what' },
    s: { summary: 'slab caches, all or by name; or the one of an address' },
    S: { summary: 'and their slabs and objects' },
    v: { summary: 'vmalloc areas' },
    V: { summary: "the kernel's counters of memory" },
    o: { summary: "where each CPU's per-CPU area is" },
    z: { summary: 'the zones of memory, their watermarks and counters' },
    h: { summary: 'the pools of huge pages' },
    g: { summary: 'the page flags' },
    c: { summary: 'the page hash (kernels before 2.6 only)' },
    r: { summary: 'the root caches of memory groups (kernels before 5.9 only)' },
  } as const

  override show({ target, flags, words, note }: Invocation<typeof Kmem>): Report {
    for (const [flag, given] of [
      ['c', flags.c],
      ['r', flags.r],
    ] as const) {
      if (given !== true) continue
      note(`-${flag} option not supported or applicable on this architecture or kernel`)
      return { rows: [], text: '', failed: true }
    }
    if (flags.V === true) return statisticsReport(target)
    if (flags.z === true) return zonesReport(target)
    if (flags.h === true) return hugeReport(target)
    if (flags.o === true) return offsetsReport(target)
    if (flags.g === true && words.length === 0) return flagsReport(target)
    if (flags.i === true) return memoryReport(target)
    if (flags.v === true && words.length === 0) return vmapReport(target)
    if (flags.s === true || flags.S === true) return cachesReport(target, words, flags.S === true, note)
    if (words.length === 0) throw new Misuse()
    return addressesReport(
      target,
      words.map((word) => addressArgument(target, word)),
      note,
    )
  }
}
