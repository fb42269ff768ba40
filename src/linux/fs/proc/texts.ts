/** Short texts about the machine: version, command line, uptime, load, memory. @see fs/proc/version.c, cmdline.c, uptime.c, loadavg.c, meminfo.c */

import { toVa, type Va } from '../../../base/addr.ts'
import type { seq_file } from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { nr_free_pages } from '../../mm/page_alloc.ts'
import { seq_printf } from '../seq_file.ts'
import { proc_create_single_data } from './generic.ts'

const PAGE_KB = 4
const NSEC_PER_SEC = 1_000_000_000

/** A string of the kernel's, without its newline. */
function text(k: Kernel, at: Va): string {
  let found = ''
  for (let i = 0; at !== 0 && i < 2048; i++) {
    const c = k.mem.u8(at + i)
    if (c === 0 || c === 10) break
    found += String.fromCharCode(c)
  }
  return found
}

const version_proc_show = kfunc('fs/proc/version.c', function version_proc_show(k, m: seq_file): number {
  seq_printf(k, m, `${text(k, toVa(k.sym('linux_banner'), k.mem.wordSize))}\n`)
  return 0
})

const cmdline_proc_show = kfunc('fs/proc/cmdline.c', function cmdline_proc_show(k, m: seq_file): number {
  const at = k.symbols.has('saved_command_line')
    ? k.mem.pointer(toVa(k.sym('saved_command_line'), k.mem.wordSize))
    : 0
  seq_printf(k, m, `${text(k, at)}\n`)
  return 0
})

const centi = (ns: number): string => {
  const hundredths = Math.floor(ns / (NSEC_PER_SEC / 100))
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}`
}

/** Since boot, and idle: of all processors together. */
const uptime_proc_show = kfunc('fs/proc/uptime.c', function uptime_proc_show(k, m: seq_file): number {
  seq_printf(k, m, `${centi(k.clock.nowNs)} ${centi(k.clock.nowNs * k.cpus.length)}\n`)
  return 0
})

/** `avenrun` in units of 1/2048. */
const loadavg_proc_show = kfunc('fs/proc/loadavg.c', function loadavg_proc_show(k, m: seq_file): number {
  const at = toVa(k.sym('avenrun'), k.mem.wordSize)
  const loads = [0, 1, 2].map((i) => (Number(k.mem.word(at + i * k.mem.wordSize)) / 2048).toFixed(2))
  const threads = k.symbols.has('nr_threads') ? k.mem.u32(toVa(k.sym('nr_threads'), k.mem.wordSize)) : 0
  seq_printf(k, m, `${loads.join(' ')} 1/${threads} ${k.current.pid}\n`)
  return 0
})

const meminfo_proc_show = kfunc('fs/proc/meminfo.c', function meminfo_proc_show(k, m: seq_file): number {
  const total = Number(k.mem.word(toVa(k.sym('_totalram_pages'), k.mem.wordSize)))
  const rows: [string, number][] = [
    ['MemTotal', total * PAGE_KB],
    ['MemFree', nr_free_pages(k) * PAGE_KB],
  ]
  for (const [name, kb] of rows) seq_printf(k, m, `${`${name}:`.padEnd(16)}${String(kb).padStart(8)} kB\n`)
  return 0
})

/** @see fs/proc/version.c:proc_version_init and its like */
export function proc_texts_init(k: Kernel): void {
  proc_create_single_data(k, 'version', 0o444, null, k.text(version_proc_show))
  proc_create_single_data(k, 'cmdline', 0o444, null, k.text(cmdline_proc_show))
  proc_create_single_data(k, 'uptime', 0o444, null, k.text(uptime_proc_show))
  proc_create_single_data(k, 'loadavg', 0o444, null, k.text(loadavg_proc_show))
  proc_create_single_data(k, 'meminfo', 0o444, null, k.text(meminfo_proc_show))
}
