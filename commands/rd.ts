import { RdCommand } from '../src/crash/data-rd.ts'

/**
 * Rows:
 * - {@link MemoryRow} each
 * - `-r`: {@link RawRow} each
 * - `-a`: {@link AsciiRow} each
 */
export default class Rd extends RdCommand {
  static override summary = 'read memory'
  static override synopsis = `rd [-adDsSupxmfNR][-8|-16|-32|-64][-o offs][-e addr][-r file][address|symbol]
     [count]`
  static override examples = [
    { command: 'rd linux_banner 8', description: 'Eight words' },
    { command: 'rd -8 linux_banner 64', description: 'Bytes' },
    { command: 'rd -a linux_banner', description: 'Text' },
    { command: 'rd -S inet_stream_ops 30', description: 'Addresses as symbols and slab caches' },
  ]
}
