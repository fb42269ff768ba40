/** The two machines of the comparison: `fidelity.yaml` recorded, and the real guest it copies. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { recordFile } from '../../src/scenario/record-file.ts'
import type { StructRef } from '../../src/btf/ref.ts'
import { task_table } from '../../src/helpers/tasks.ts'
import { openTargetSync, type Target } from '../../src/target/target.ts'
import { dumpPath } from './dumps.ts'
import { compareSockets, type Difference } from './fidelity.ts'

/** The server, in both machines: `ncat -l -k 192.168.56.1 10000`. */
export const SERVER_PID = 133
/** Its first connection. */
export const CONNECTION_FD = 4

export interface Machines {
  readonly simulated: Target
  readonly real: Target
}

/** Record the scenario, open both, compare, and clean up. */
export async function withMachines<T>(compare: (machines: Machines) => T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'coredrill-fidelity-'))
  const output = join(folder, 'fidelity.cdump')
  try {
    const scenario = fileURLToPath(new URL('fidelity.yaml', import.meta.url))
    await recordFile(scenario, { output, createdBy: 'fidelity' })
    const simulated = openTargetSync(output)
    const real = openTargetSync(dumpPath('dev'))
    try {
      return compare({ simulated, real })
    } finally {
      simulated.close()
      real.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @throws Error when the machine has no such process */
export function taskOf(target: Target, pid: number): StructRef {
  const row = task_table(target).tasks.find((task) => task.pid === pid)
  if (row === undefined) throw new Error(`no process ${pid}`)
  return row.task
}

export const connectionDifferences = (): Promise<Difference[]> =>
  withMachines(({ simulated, real }) =>
    compareSockets(
      { target: simulated, task: taskOf(simulated, SERVER_PID), fd: CONNECTION_FD },
      { target: real, task: taskOf(real, SERVER_PID), fd: CONNECTION_FD },
    ),
  )
