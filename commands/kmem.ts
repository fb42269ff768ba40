import { UsageError } from '../src/base/errors.ts'
import { addressArgument } from '../src/crash/address-argument.ts'
import { cpuList } from '../src/crash/cpu-list.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { addressesReport, vmapReport } from '../src/crash/kmem-address.ts'
import { freeReport } from '../src/crash/kmem-free.ts'
import { memoryReport } from '../src/crash/kmem-memory.ts'
import {
  flagsReport,
  flagsOfReport,
  hugeReport,
  offsetsReport,
  statisticsReport,
} from '../src/crash/kmem-more.ts'
import { nodesReport } from '../src/crash/kmem-node.ts'
import { pageMembersReport, pageReport } from '../src/crash/kmem-page.ts'
import { cachesReport } from '../src/crash/kmem-slab.ts'
import { zonesReport } from '../src/crash/kmem-zones.ts'
import { Misuse } from '../src/crash/misuse.ts'

/**
 * Rows:
 * - {@link KmemAddress} each
 * - `-f` and `-F`: {@link FreeAreaRow} each
 * - `-g`: {@link PageFlagRow} each, with numbers {@link PageFlagsRow} each
 * - `-h`: {@link HugeRow} each
 * - `-i`: {@link MemoryUseRow} each
 * - `-m`: {@link PageMembersRow} each
 * - `-n`: {@link NodesJson}
 * - `-o`: {@link PerCpuOffsetRow} each
 * - `-p`: {@link PageRow} each
 * - `-s`: {@link CacheRow} each
 * - `-S`: {@link CacheJson} each
 * - `-s` and `-S` with an address: {@link SlabAddressRow} each
 * - `-v`: {@link VmapRow} each
 * - `-V`: {@link StatisticRow} each
 * - `-z`: {@link ZoneRow} each
 */
export default class Kmem extends DumpCommand {
  static override summary =
    'memory: what is at an address, slab caches, free and used pages, zones, vmalloc areas'
  static override synopsis =
    'kmem [-f|-F|-c|-C|-i|-v|-V|-n|-z|-o|-h] [-p | -m member[,member]]\n' +
    '       [[-s|-S|-S=cpu[s]|-r] [slab] [-I slab[,slab]]] [-g [flags]] [[-P] address]]'
  static override examples = ['kmem -i', 'kmem -s TCP', 'kmem ffff8be5849fb080', 'kmem -m flags,lru.next']
  static override crashFlags = {
    i: { summary: 'how much memory is used for what' },
    f: { summary: 'free blocks of each zone, counted' },
    F: { summary: 'and one by one' },
    s: { summary: 'slab caches, all or by name; or the one of an address' },
    S: { kind: 'optional', summary: 'and their slabs and objects; =CPUS: the slabs of these CPUs only' },
    I: { kind: 'values', summary: 'with -s and -S: not these caches' },
    v: { summary: 'vmalloc areas' },
    V: { summary: "the kernel's counters of memory" },
    o: { summary: "where each CPU's per-CPU area is" },
    n: { summary: 'memory nodes, zones, sections and memory blocks' },
    z: { summary: 'the zones of memory, their watermarks and counters' },
    p: { summary: 'every page there is; or the page of an address' },
    m: { kind: 'value', summary: 'every page, these members of its struct page' },
    P: { summary: 'addresses are physical' },
    h: { summary: 'the pools of huge pages' },
    g: { summary: 'the page flags; with a number, those of page->flags' },
    c: { summary: 'the page hash (kernels before 2.6 only)' },
    C: { summary: 'the page hash (kernels before 2.6 only)' },
    r: { summary: 'the root caches of memory groups (kernels before 5.9 only)' },
  } as const

  override show({ target, flags, words, note }: Invocation<typeof Kmem>): Report {
    for (const flag of ['c', 'C', 'r'] as const) {
      if (flags[flag] !== true) continue
      note(`-${flag} option not supported or applicable on this architecture or kernel`)
      return { rows: [], text: '', failed: true }
    }
    if (flags.V === true) return statisticsReport(target)
    if (flags.z === true) return zonesReport(target)
    if (flags.h === true) return hugeReport(target)
    if (flags.o === true) return offsetsReport(target)
    if (flags.n === true) return nodesReport(target)
    if (flags.f === true || flags.F === true) return freeReport(target, flags.F === true)
    if (flags.g === true) return words.length === 0 ? flagsReport(target) : flagsOfReport(target, words)
    if (flags.i === true) return memoryReport(target)
    if (flags.v === true && words.length === 0) return vmapReport(target)
    if (flags.s === true || flags.S !== undefined) {
      const ignored = flags.I?.flatMap((names) => names.split(','))
      const cpus = flags.S === undefined || flags.S === '' ? undefined : cpuList(target, flags.S)
      return cachesReport(target, words, { whole: flags.S !== undefined, ignored, cpus }, note)
    }
    if (flags.m !== undefined) return pageMembersReport(target, flags.m.split(','))
    if (flags.p === true && words.length === 0) return pageReport(target)
    if (words.length === 0) throw new Misuse()
    const addresses = words.map((word) => addressOf(target, word))
    return addressesReport(target, addresses, note, flags.P === true ? 'physical' : undefined)
  }
}

function addressOf(target: Parameters<typeof addressArgument>[0], word: string): number {
  try {
    return addressArgument(target, word)
  } catch (error) {
    if (error instanceof UsageError && /^\d+-\d+$/.test(word)) throw new Misuse()
    throw error
  }
}
