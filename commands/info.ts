import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { infoReport } from '../src/crash/info-text.ts'
import { Misuse } from '../src/crash/misuse.ts'

/**
 * Rows:
 * - {@link InfoRow}
 * - `steps`: {@link StepRow} each
 * - `programs`: {@link ProgramRow} each
 * - `probes`: {@link ProbeRow} each
 * - `packets`: {@link PacketRow} each
 * - `scenario`: its text
 */
export default class Info extends DumpCommand {
  static override summary = 'what a recorded dump holds: snapshots, steps, programs, probes, packets'
  static override synopsis = 'info [steps | programs | probes | packets | scenario]'
  static override examples = ['info', 'info steps', 'info packets', 'info probes']

  override show({ target, words }: Invocation<typeof Info>): Report {
    if (words.length > 1) throw new Misuse(undefined, words[1])
    return infoReport(target, words[0])
  }
}
