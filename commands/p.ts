import { PrintCommand } from '../src/crash/expression-print.ts'

/** Rows: {@link ValueRow} each. */
export default class P extends PrintCommand {
  static override summary = "an expression's value"
  static override synopsis = 'p [-x|-d][-u] [expression | symbol[:cpuspec]]'
  static override examples = [
    { command: 'p jiffies', description: 'A variable' },
    { command: 'p ((struct task_struct *)init_task.tasks.next)->pid', description: 'An expression' },
    { command: 'p runqueues:0', description: "A CPU's copy of a per-CPU variable" },
  ]
}
