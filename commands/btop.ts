import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { convertedReport, PAGE_SHIFT } from '../src/crash/page-number.ts'

/** Rows: {@link ConvertedRow} each. */
export default class Btop extends DumpCommand {
  static override summary = 'bytes to pages: the page number of an address'
  static override synopsis = 'btop address ...'
  static override examples = ['btop 512a000']

  override show({ words }: Invocation<typeof Btop>): Report {
    return convertedReport(words, (address) => address >> PAGE_SHIFT)
  }
}
