/** The programs there are: where they lie, how large they are in memory, and what they do. */

import { insmod, rmmod } from './kmod.ts'
import { ncat } from './ncat.ts'
import type { Program } from './process.ts'

export interface ProgramEntry {
  readonly path: string
  /** Virtual and resident memory in KiB, as such a program had them on a real machine. */
  readonly vszKb: number
  readonly rssKb: number
  readonly make: (argv: readonly string[]) => Program
}

const sleep = (argv: readonly string[]): Program =>
  function* (p) {
    yield* p.sleep(Number(argv[1] ?? '0') * 1e9)
    return 0
  }

/** By the name they are called by. `bash` and `syscalls` are made by whoever gives them their orders. */
export const programs: Readonly<Record<string, ProgramEntry>> = {
  insmod: { path: '/usr/sbin/insmod', vszKb: 2736, rssKb: 1640, make: insmod },
  ncat: { path: '/usr/bin/ncat', vszKb: 13232, rssKb: 4980, make: ncat },
  rmmod: { path: '/usr/sbin/rmmod', vszKb: 2736, rssKb: 1600, make: rmmod },
  sleep: { path: '/usr/bin/sleep', vszKb: 2484, rssKb: 1004, make: sleep },
}

export const BASH = { path: '/usr/bin/bash', vszKb: 7196, rssKb: 4012 } as const
export const SYSCALLS = { path: '/usr/bin/syscalls', vszKb: 2460, rssKb: 900 } as const
