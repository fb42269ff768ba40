/** The programs there are: where they lie, how large they are in memory, and what they do. */

import { echo, id, kill, pwd, sleep, uname, whoami, yes } from './coreutils/small.ts'
import { grep } from './coreutils/grep.ts'
import { cat, head, tail, wc } from './coreutils/text.ts'
import { dmesg } from './dmesg.ts'
import { filtertest, mknod } from './filtertest.ts'
import { insmod, lsmod, modinfo, rmmod } from './kmod.ts'
import { ncat } from './ncat.ts'
import { nc } from './net/nc.ts'
import { netstat } from './net/netstat.ts'
import { tcpcli, tcpserv } from './net/relay-pair.ts'
import type { Program } from './process.ts'
import { ps } from './ps.ts'
import { sudo } from './sudo.ts'
import { forkTester, openTester, syscallTester } from './testers.ts'

export interface ProgramEntry {
  readonly path: string
  /** Virtual and resident memory in KiB, as such a program had them on a real machine. */
  readonly vszKb: number
  readonly rssKb: number
  readonly make: (argv: readonly string[]) => Program
  /** The superuser's, whoever runs it. */
  readonly setuid?: boolean
}

/** Where a program of a document lies when nobody says: programs compiled for an experiment are no distribution's. */
const LOCAL = '/usr/local/bin'

const coreutil = (name: string, make: ProgramEntry['make']): ProgramEntry => ({
  path: `/usr/bin/${name}`,
  vszKb: 2484,
  rssKb: 1004,
  make,
})
const compiled = (name: string, make: ProgramEntry['make']): ProgramEntry => ({
  path: `${LOCAL}/${name}`,
  vszKb: 2460,
  rssKb: 900,
  make,
})
const kmod = (name: string, make: ProgramEntry['make'], rssKb = 1640): ProgramEntry => ({
  path: `/usr/sbin/${name}`,
  vszKb: 2736,
  rssKb,
  make,
})

/** By the name they are called by. `bash` and `syscalls` are made by whoever gives them their orders. */
export const programs: Readonly<Record<string, ProgramEntry>> = {
  cat: coreutil('cat', cat),
  dmesg: coreutil('dmesg', dmesg),
  echo: coreutil('echo', echo),
  false: coreutil('false', yes(1)),
  filtertest: compiled('filtertest', filtertest),
  forktest: compiled('forktest', forkTester),
  grep: { ...coreutil('grep', grep), vszKb: 3744, rssKb: 2040 },
  head: coreutil('head', head),
  id: coreutil('id', id),
  insmod: kmod('insmod', insmod),
  kill: coreutil('kill', kill),
  lsmod: kmod('lsmod', lsmod),
  mknod: coreutil('mknod', mknod),
  modinfo: kmod('modinfo', modinfo),
  nc: { path: '/usr/bin/nc', vszKb: 3112, rssKb: 2048, make: nc },
  ncat: { path: '/usr/bin/ncat', vszKb: 13232, rssKb: 4980, make: ncat },
  netstat: { path: '/usr/bin/netstat', vszKb: 4420, rssKb: 2900, make: netstat },
  opentest: compiled('opentest', openTester),
  ps: { path: '/usr/bin/ps', vszKb: 8608, rssKb: 3200, make: ps },
  pwd: coreutil('pwd', pwd),
  rmmod: kmod('rmmod', rmmod, 1600),
  sleep: coreutil('sleep', sleep),
  sudo: { path: '/usr/bin/sudo', vszKb: 9840, rssKb: 4600, make: sudo, setuid: true },
  syscall: compiled('syscall', syscallTester),
  tail: coreutil('tail', tail),
  tcpcli: compiled('tcpcli', tcpcli),
  tcpserv: compiled('tcpserv', tcpserv),
  true: coreutil('true', yes(0)),
  uname: coreutil('uname', uname),
  wc: coreutil('wc', wc),
  whoami: coreutil('whoami', whoami),
}

/** A name with `32` behind it is the program built for 32 bits: `tcpcli32`. */
const NARROW = /^(.+)32$/

/** A program by the last part of its path. */
export function findProgram(
  name: string,
): { readonly entry: ProgramEntry; readonly name: string; readonly narrow: boolean } | undefined {
  const own = Object.hasOwn(programs, name) ? programs[name] : undefined
  if (own !== undefined) return { entry: own, name, narrow: false }
  const base = NARROW.exec(name)?.[1] ?? ''
  const entry = Object.hasOwn(programs, base) ? programs[base] : undefined
  return entry === undefined ? undefined : { entry, name: base, narrow: true }
}

export const BASH = { path: '/usr/bin/bash', vszKb: 7196, rssKb: 4012 } as const
/** Names under which the shell runs scripts. */
export const SHELLS: readonly string[] = ['bash', 'sh']
export const SYSCALLS = { path: '/usr/bin/syscalls', vszKb: 2460, rssKb: 900 } as const
