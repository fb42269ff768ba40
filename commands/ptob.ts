import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { convertedReport, PAGE_SHIFT } from '../src/crash/page-number.ts'

/** Rows: {@link ConvertedRow} each. */
export default class Ptob extends DumpCommand {
  static override summary = 'pages to bytes: the address of a page number'
  static override synopsis = 'ptob page_number ...'
  static override examples = ['ptob 512a']

  override show({ words }: Invocation<typeof Ptob>): Report {
    return convertedReport(words, (page) => page << PAGE_SHIFT)
  }
}
