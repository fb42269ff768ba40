import { StructCommand } from '../src/crash/struct-command.ts'

/** Rows: {@link StructRow} each. */
export default class Union extends StructCommand {
  static override summary = 'declarations and contents of unions'
  static override synopsis = `union union_name[.member[,member]] [-o][-l offset][-rfuxdp]
        [address | symbol][:cpuspec] [count | -c count]`
  static override examples = [{ command: 'union nf_inet_addr', description: 'Its declaration and size' }]
  protected override readonly wanted = 'union'
}
