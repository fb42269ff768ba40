/** The kernel log of a dump as plain lines. */

import { log_records } from '../helpers/printk.ts'
import type { Target } from '../target/target.ts'

/** `[    4.123456] text`, one line for each line of a message. */
export function logText(target: Target): string {
  const lines: string[] = []
  for (const { ts_nsec: time, text } of log_records(target)) {
    const seconds = String(time / 1_000_000_000n).padStart(5)
    const micros = String((time % 1_000_000_000n) / 1000n).padStart(6, '0')
    for (const line of text.split('\n')) lines.push(`[${seconds}.${micros}] ${line}`)
  }
  return lines.join('\n')
}
