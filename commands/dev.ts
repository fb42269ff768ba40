import {
  deviceDumpsReport,
  disksReport,
  majorsReport,
  pciReport,
  resourcesReport,
} from '../src/crash/dev-text.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'

/**
 * Rows:
 * - {@link MajorsJson}
 * - `-d` and `-D`: {@link DiskRow} each
 * - `-p`: {@link PciBus} each
 * - `-i`: {@link ResourcesJson}
 * - `-V`: {@link DeviceDumpRow} each
 */
export default class Dev extends DumpCommand {
  static override summary = 'devices: character and block majors, disks, PCI, ports and ranges of memory'
  static override synopsis = 'dev [-i | -p | -d | -D ] [-V | -v index [file]]'
  static override examples = ['dev', 'dev -p', 'dev -d']
  static override crashFlags = {
    i: { summary: 'who has which I/O ports and which physical addresses' },
    p: { summary: 'PCI buses and their devices' },
    d: { summary: 'disks and their requests under way' },
    D: { summary: 'only disks that have some' },
    V: { summary: 'what drivers added to the dump about their devices' },
    v: { kind: 'value', summary: 'one of those' },
  } as const

  override show({ target, flags, words, note }: Invocation<typeof Dev>): Report {
    if (flags.v !== undefined || words.length > 0) throw new Misuse()
    if (flags.i === true) return resourcesReport(target)
    if (flags.p === true) return pciReport(target)
    if (flags.d === true || flags.D === true) return disksReport(target, flags.D === true)
    if (flags.V === true) return deviceDumpsReport(target, note)
    return majorsReport(target)
  }
}
