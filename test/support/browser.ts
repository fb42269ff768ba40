/** The browser without a terminal: keys by name, screens as text. */

import { plainText } from '../../src/tui/cell.ts'
import { Browser } from '../../src/tui/driver.ts'
import { Dump } from '../../src/tui/dump.ts'
import type { Size } from '../../src/tui/layout.ts'
import type { Target } from '../../src/target/target.ts'

export interface Session {
  readonly browser: Browser
  /** what was copied, oldest first */
  readonly copied: string[]
  /** `quit`, `suspend`, `redraw` as they were asked for */
  readonly asked: string[]
  /** Press keys: names, or text in quotes (`"ncat`); what is left to do is done after each. */
  press(...keys: string[]): Promise<void>
  /** The screen's lines, without trailing blanks. */
  screen(): string[]
}

export async function openBrowser(
  target: Target,
  options: { size?: Size; ascii?: boolean; name?: string } = {},
): Promise<Session> {
  const copied: string[] = []
  const asked: string[] = []
  const dump = new Dump(target, { name: options.name ?? 'test.cdump', ascii: options.ascii ?? false })
  const browser = new Browser(dump, options.size ?? { columns: 80, rows: 24 }, {
    quit: () => void asked.push('quit'),
    suspend: () => void asked.push('suspend'),
    redraw: () => void asked.push('redraw'),
    copy: (text) => void copied.push(text),
  })
  await browser.settle()
  return {
    browser,
    copied,
    asked,
    async press(...keys) {
      for (const key of keys) {
        const typed = key.startsWith('"') ? Array.from(key.slice(1)) : undefined
        for (const ch of typed ?? []) browser.handle({ type: 'key', name: ch === ' ' ? 'space' : ch, ch })
        if (typed === undefined)
          browser.handle({ type: 'key', name: key, ch: key.length === 1 ? key : undefined })
        await browser.settle()
      }
    },
    screen: () => browser.lines().map((line) => plainText(line).trimEnd()),
  }
}

/** Addresses and bytes change with the simulated kernel; where they stand does not. */
export function withoutAddresses(text: string): string {
  return text
    .replace(/\bf{4}[0-9a-f]{6,12}\b/g, (found) => `ffff${'.'.repeat(found.length - 4)}`)
    .replace(/\b0x[0-9a-f]{9,16}\b/g, (found) => `0x${'.'.repeat(found.length - 2)}`)
    .replace(
      /^([ *]ffff\.{12} {2})((?:[0-9a-f]{2} {1,2}){16})(.*)$/gm,
      (_, head: string, bytes: string) => head + bytes.replace(/[0-9a-f]/g, '.').trimEnd(),
    )
}
