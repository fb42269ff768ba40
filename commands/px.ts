import { PrintCommand } from '../src/crash/expression-print.ts'

/** Rows: {@link ValueRow} each. */
export default class Px extends PrintCommand {
  static override summary = "an expression's value in hex"
  static override synopsis = 'px [-x|-d][-u] [expression | symbol[:cpuspec]]'
  static override examples = [
    { command: 'px jiffies', description: 'A variable' },
    { command: 'px ((struct task_struct *)init_task.tasks.next)->pid', description: 'An expression' },
    { command: 'px runqueues:0', description: "A CPU's copy of a per-CPU variable" },
  ]
  protected override readonly radix = 16
}
