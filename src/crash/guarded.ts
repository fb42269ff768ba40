/** Parts of a report that may end at damage: what was found before stands, a mark follows, the next part is printed. */

import { faultMark, isDamage } from './fault-mark.ts'

export class Guarded {
  /** Has a part ended at damage (or been called failed for another reason)? */
  failed = false;

  /** The text of a part; where memory is damaged or missing a mark and the part's end. */
  *part(text: () => Iterable<string>): Generator<string> {
    try {
      yield* text()
    } catch (error) {
      if (!isDamage(error)) throw error
      this.failed = true
      yield `${faultMark(error)}\n`
    }
  }
}
