/** Scenarios written in a test: run without a file or a dump, the machine left as the last step left it. */

import { startMachine } from '../../src/scenario/machine.ts'
import type { Run } from '../../src/scenario/run.ts'
import { parseScenario } from '../../src/scenario/scenario.ts'

/** A card, a host and a shell: enough for most. */
export const NETWORK = `devices:
  - { name: eth0, mac: 08:00:27:00:00:01, address: 10.0.0.1/24, irq_cpu: 1 }
hosts:
  - { name: a, address: 10.0.0.2 }
  - { name: b, address: 10.0.0.3 }
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
  - { name: shell2, pid: 501, argv: [-bash], cwd: /root, tty: /dev/pts/1, cpu: 1 }
`

/**
 * Boot the machine and run the steps.
 * @param steps items of `steps`, in YAML
 * @param prepare called when the machine is up, before the first step
 */
export function runSteps(steps: string, prepare: (run: Run) => void = () => undefined): Run {
  const scenario = parseScenario('test.yaml', `${NETWORK}steps:\n${steps}`)
  const run = startMachine(scenario)
  prepare(run)
  scenario.steps.forEach((step, i) => run.step(step, i + 1))
  return run
}

/** System calls of a program by name, in order, with their results: `socket = 3`. */
export class SystemCalls {
  readonly list: string[] = []
  private readonly open = new Map<number, string>()

  constructor(run: Run, comm: string, names: readonly string[]) {
    const { k } = run
    for (const name of names) {
      k.watch(`__x64_sys_${name}`, {
        entered: () => {
          if (k.current.comm.$string() === comm) this.open.set(k.current.pid, name)
        },
        returned: (_info, result) => {
          if (this.open.get(k.current.pid) !== name) return
          this.open.delete(k.current.pid)
          this.list.push(`${name} = ${String(result)}`)
        },
      })
    }
  }
}
