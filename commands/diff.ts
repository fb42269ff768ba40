import { diffReport } from '../src/crash/diff-text.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'

/** Rows: {@link ObjectChange} each. */
export default class Diff extends DumpCommand {
  static override summary = 'what changed between two snapshots or dumps: object, member, writer'
  static override synopsis =
    'diff [--only name] [--most count] [--brief] [--all] [snapshot | file[@snapshot]]'
  static override examples = [
    { command: 'diff', description: 'Since the snapshot before the one looked at' },
    { command: 'diff established --only sock', description: 'Since that snapshot, socks only' },
    { command: 'diff other.cdump@blocked', description: 'The same kernel in another dump' },
  ]
  static override crashFlags = {
    only: { kind: 'value', summary: 'objects whose name has this in it' },
    most: { kind: 'value', summary: 'members shown of one object; 40' },
    brief: { kind: 'boolean', summary: 'objects only, not their members' },
    all: { kind: 'boolean', summary: 'memory without a type as well' },
  } as const

  override show({ target, flags, words }: Invocation<typeof Diff>): Report {
    return diffReport(target, words, flags)
  }
}
