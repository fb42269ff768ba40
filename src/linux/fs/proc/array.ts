/** What a process is, in one text: `status` for people, `stat` for programs. @see fs/proc/array.c */

import type { seq_file, task_struct } from '../../../btf/vmlinux.ts'
import { PIDTYPE_PGID, PIDTYPE_SID } from '../../../abi/sched.ts'
import { MINOR, UNIX98_PTY_SLAVE_MAJOR } from '../../../abi/stat.ts'
import { deref } from '../../deref.ts'
import { kfunc } from '../../kfunc.ts'
import { pid_nr, task_pid_type } from '../../kernel/pid.ts'
import { sigset } from '../../kernel/signal.ts'
import { seq_printf } from '../seq_file.ts'

const FILE = 'fs/proc/array.c'
const NSEC_PER_TICK = 10_000_000n
const PAGE_KB = 4n
const EXIT_ZOMBIE = 32
const EXIT_DEAD = 16

/** @see fs/proc/array.c:get_task_state */
function stateOf(task: task_struct): string {
  if (task.exit_state === EXIT_ZOMBIE) return 'Z (zombie)'
  if (task.exit_state === EXIT_DEAD) return 'X (dead)'
  const state = task.__state
  if ((state & 0x400) !== 0) return 'I (idle)'
  if ((state & 2) !== 0) return 'D (disk sleep)'
  if ((state & 1) !== 0) return 'S (sleeping)'
  if ((state & 4) !== 0) return 'T (stopped)'
  return 'R (running)'
}

/** The number of the controlling terminal, as user space has device numbers. */
function tty_nr(task: task_struct): number {
  const tty = deref(task.signal).tty
  return tty === null ? 0 : (UNIX98_PTY_SLAVE_MAJOR << 8) | MINOR(tty.index)
}

const hex = (bits: bigint): string => bits.toString(16).padStart(16, '0')

/** Resident pages. */
function rss(task: task_struct): bigint {
  const counts = task.mm?.rss_stat.count
  let pages = 0n
  for (let i = 0; i < (counts?.length ?? 0); i++) pages += counts?.ref(i)?.$int('counter') ?? 0n
  return pages < 0n ? 0n : pages
}

/** @see fs/proc/array.c:proc_pid_status */
export const proc_pid_status = kfunc(
  FILE,
  function proc_pid_status(k, m: seq_file, task: task_struct): number {
    const cred = deref(task.cred)
    const ids = (kind: 'uid' | 'gid'): string =>
      [cred[kind], cred[`e${kind}`], cred[`s${kind}`], cred[`fs${kind}`]].map(({ val }) => val).join('\t')
    const { mm } = task
    const caps = (
      set: 'cap_inheritable' | 'cap_permitted' | 'cap_effective' | 'cap_bset' | 'cap_ambient',
    ): string => hex(k.mem.u64(cred[set].$va))
    const memory = mm === null ? [] : [
    `VmSize:\t${kb(mm.total_vm * PAGE_KB)}`,
    `VmRSS:\t${kb(rss(task) * PAGE_KB)}`,
  ] // prettier-ignore
    const lines = [
      `Name:\t${task.comm.$string()}`,
      `State:\t${stateOf(task)}`,
      `Tgid:\t${task.tgid}`,
      `Pid:\t${task.pid}`,
      `PPid:\t${task.real_parent?.tgid ?? 0}`,
      `Uid:\t${ids('uid')}`,
      `Gid:\t${ids('gid')}`,
      ...memory,
      `Threads:\t${deref(task.signal).nr_threads}`,
      `SigPnd:\t${hex(sigset(task.pending.signal))}`,
      `SigBlk:\t${hex(sigset(task.blocked))}`,
      `CapInh:\t${caps('cap_inheritable')}`,
      `CapPrm:\t${caps('cap_permitted')}`,
      `CapEff:\t${caps('cap_effective')}`,
      `CapBnd:\t${caps('cap_bset')}`,
      `CapAmb:\t${caps('cap_ambient')}`,
    ]
    seq_printf(k, m, `${lines.join('\n')}\n`)
    return 0
  },
)

const kb = (value: bigint): string => `${String(value).padStart(8)} kB`

/** 52 numbers behind the name. @see fs/proc/array.c:do_task_stat */
export const proc_tgid_stat = kfunc(FILE, function proc_tgid_stat(k, m: seq_file, task: task_struct): number {
  const { mm } = task
  const nr = (type: number): number => pid_nr(k, task_pid_type(task, type))
  const ticks = (ns: bigint): bigint => ns / NSEC_PER_TICK
  const vsize = mm === null ? 0n : mm.total_vm * 4096n
  const fields: (number | bigint | string)[] = [
    task.pid, `(${task.comm.$string()})`, stateOf(task).slice(0, 1), task.real_parent?.tgid ?? 0, nr(PIDTYPE_PGID),
    nr(PIDTYPE_SID), tty_nr(task), -1, task.flags, 0, 0, 0, 0,
    ticks(task.utime), ticks(task.stime), 0, 0, task.prio - 100, task.static_prio - 120,
    deref(task.signal).nr_threads, 0, ticks(task.start_boottime), vsize, rss(task), 18446744073709551615n,
    mm?.start_code ?? 0, mm?.end_code ?? 0, mm?.start_stack ?? 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, task.exit_signal,
    task.thread_info.cpu, task.rt_priority, task.policy, 0, 0, 0, mm?.start_data ?? 0, mm?.end_data ?? 0,
    mm?.start_brk ?? 0, mm?.arg_start ?? 0, mm?.arg_end ?? 0, mm?.env_start ?? 0, mm?.env_end ?? 0, task.exit_code,
  ] // prettier-ignore
  seq_printf(k, m, `${fields.join(' ')}\n`)
  return 0
})
