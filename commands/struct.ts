import { StructCommand } from '../src/crash/struct-command.ts'

/** Rows: {@link StructRow} each. */
export default class Struct extends StructCommand {
  static override summary = 'declarations and contents of structures'
  static override synopsis = `struct struct_name[.member[,member]][-o][-l offset][-rfuxdp]
         [address | symbol][:cpuspec] [count | -c count]`
  static override examples = [
    { command: 'struct list_head', description: 'Its declaration and size' },
    { command: 'struct -o sock', description: "Each member's offset" },
    { command: 'struct task_struct.pid,comm init_task', description: 'Two members of one' },
    { command: 'struct rq.nr_running runqueues:a', description: "Each CPU's" },
  ]
  protected override readonly wanted = 'struct'
}
