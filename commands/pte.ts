import { UsageError } from '../src/base/errors.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { pteText } from '../src/crash/pte-text.ts'
import { translate_pte, type PteRow } from '../src/helpers/pte.ts'

/** Rows: {@link PteRow} each. */
export default class Pte extends DumpCommand {
  static override summary = 'page table entries in words: physical address and flags'
  static override synopsis = 'pte contents ...'
  static override examples = ['pte 8000000001a5d067', 'pte d8e067']

  override show({ target, words }: Invocation<typeof Pte>): Report {
    if (words.length === 0) throw new Misuse()
    const size = target.space.mode === 'i386' ? 4 : 8
    const rows: PteRow[] = []
    const text: string[] = []
    for (const word of words) {
      if (!/^(0x)?[0-9a-f]{1,16}$/i.test(word)) throw new UsageError(word, `invalid input: "${word}"`)
      const pte = BigInt(`0x${word.replace(/^0x/i, '')}`)
      rows.push(translate_pte(pte, size))
      text.push(pteText(pte, size))
    }
    return { rows, text: text.join('\n') }
  }
}
