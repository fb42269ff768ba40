import { addr, hex, toAddr } from '../src/base/addr.ts'
import { hexNumber } from '../src/crash/data-address.ts'
import { UsageError } from '../src/base/errors.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import type { PtovRow } from '../src/crash/rows.ts'
import { addressWidth } from '../src/render/columns.ts'

/** Rows: {@link PtovRow} each. */
export default class Ptov extends DumpCommand {
  static override summary = 'physical to virtual: where the kernel sees a physical address'
  static override synopsis = 'ptov address ...'
  static override examples = ['ptov 1000000']

  override show({ target, words }: Invocation<typeof Ptov>): Report {
    if (words.length === 0) throw new Misuse()
    const width = addressWidth(target.wordSize)
    const line = (left: string, right: string): string => `${left.padEnd(width)}  ${right.padEnd(width)}\n`
    const rows = words.map((word): PtovRow => {
      const physical = hexNumber(word)
      if (physical === undefined) throw new UsageError(word, `invalid input: "${word}"`)
      const virtual = BigInt.asUintN(target.wordSize * 8, toAddr(target.pageOffset) + physical)
      return { virtual: addr(virtual), physical }
    })
    const text = rows.map((row) => line('VIRTUAL', 'PHYSICAL') + line(hex(row.virtual), hex(row.physical)))
    return { rows, text: text.join('\n') }
  }
}
