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
import { EPHEMERAL, compareSockets, type Difference } from './fidelity.ts'

/** The server, in both machines: `ncat -l -k 192.168.56.1 10000`. */
export const SERVER_PID = 133
/** Its first connection. */
export const CONNECTION_FD = 4

export interface Machines {
  readonly simulated: Target
  readonly real: Target
}

/** Record the scenario, open both, compare, and clean up. */
export async function withMachines<T>(
  compare: (machines: Machines) => T,
  name = 'fidelity.yaml',
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'coredrill-fidelity-'))
  const output = join(folder, 'fidelity.cdump')
  try {
    const scenario = fileURLToPath(new URL(name, import.meta.url))
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

/** The process of `fidelity-datagrams.yaml`, and which descriptor of it is which of the real one's. */
const DATAGRAM_PID = 178
export const DATAGRAM_SOCKETS: readonly {
  readonly what: string
  readonly fd: number
  readonly realFd: number
  readonly chance?: readonly string[]
}[] = [
  { what: 'UNIX stream, sender', fd: 0, realFd: 14 },
  { what: 'UNIX stream, bytes waiting', fd: 1, realFd: 15 },
  { what: 'UNIX datagrams, bound to a path', fd: 2, realFd: 16 },
  { what: 'UNIX listener, abstract', fd: 3, realFd: 17 },
  { what: 'UDP, two datagrams waiting', fd: 4, realFd: 24 },
  { what: 'UDP, connected', fd: 5, realFd: 25, chance: EPHEMERAL },
  { what: 'UDP of AF_INET6, on ::', fd: 6, realFd: 26 },
]

/** Differences of each of them. */
export const datagramDifferences = (): Promise<ReadonlyMap<string, Difference[]>> =>
  withMachines(({ simulated, real }) => {
    const ours = taskOf(simulated, DATAGRAM_PID)
    const theirs = taskOf(real, DATAGRAM_PID)
    return new Map(
      DATAGRAM_SOCKETS.map(({ what, fd, realFd, chance }) => [
        what,
        compareSockets(
          { target: simulated, task: ours, fd },
          { target: real, task: theirs, fd: realFd },
          chance,
        ),
      ]),
    )
  }, 'fidelity-datagrams.yaml')
