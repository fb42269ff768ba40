import { PrintCommand } from '../src/crash/expression-print.ts'

/** Rows: {@link ValueRow} each. */
export default class Pd extends PrintCommand {
  static override summary = "an expression's value in decimal"
  static override synopsis = 'pd [-x|-d][-u] [expression | symbol[:cpuspec]]'
  static override examples = [
    { command: 'pd jiffies', description: 'A variable' },
    { command: 'pd ((struct task_struct *)init_task.tasks.next)->pid', description: 'An expression' },
    { command: 'pd runqueues:0', description: "A CPU's copy of a per-CPU variable" },
  ]
  protected override readonly radix = 10
}
