import { ListCommand } from '../src/crash/data-list.ts'

/** Rows: {@link ListRow} each. */
export default class List extends ListCommand {
  static override summary = 'linked lists: their entries and members of them'
  static override synopsis = `list [[-o] offset][-e end][-[s|S] struct[.member[,member] [-l offset]] -[x|d]]
       [-r|-B] [-h [-O head_offset]|-H] start`
  static override examples = [
    { command: 'list -H modules -o module.list', description: 'The modules' },
    { command: 'list task_struct.tasks -s task_struct.pid,comm -h init_task', description: 'All processes' },
    { command: 'list -H super_blocks super_block.s_list -s super_block.s_id', description: 'File systems' },
  ]
}
