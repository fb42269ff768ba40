/** The order in which the kernel comes up: one line for each part that has boot-time state. */

import { toVa } from '../../base/addr.ts'
import { bannerOf } from '../arch/x86/kernel/image.ts'
import { syscall_table_init } from '../arch/x86/entry/common.ts'
import { i386_syscall_table_init } from '../arch/x86/entry/entry_32.ts'
import { declareIa32Handlers, ia32_syscall_table_init } from '../arch/x86/entry/ia32.ts'
import { tty_init } from '../drivers/tty/pty.ts'
import { chrdev_init } from '../fs/char_dev.ts'
import { prepare_namespace, vfs_caches_init } from '../fs/mounts.ts'
import { init_pipe_fs } from '../fs/pipe.ts'
import { proc_net_init } from '../fs/proc/proc_net.ts'
import { proc_root_init } from '../fs/proc/root.ts'
import { proc_texts_init } from '../fs/proc/texts.ts'
import { seq_file_init } from '../fs/seq_file.ts'
import '../fs/system_calls.ts'
import type { Kernel } from '../kernel.ts'
import '../kernel/compat.ts'
import { cred_init } from '../kernel/cred.ts'
import { fork_init, proc_caches_init } from '../kernel/fork.ts'
import { kallsyms_init } from '../kernel/kallsyms_seq.ts'
import { init_modules } from '../kernel/module/main.ts'
import { proc_modules_init } from '../kernel/module/procfs.ts'
import '../kernel/module/syscalls.ts'
import { pid_idr_init } from '../kernel/pid.ts'
import { init_printk_statics, printk_banner } from '../kernel/printk/printk.ts'
import { sched_init } from '../kernel/sched/init.ts'
import { signals_init } from '../kernel/signal.ts'
import { hrtimers_init } from '../kernel/time/hrtimer.ts'
import { init_timers } from '../kernel/time/timer.ts'
import { timekeeping_init } from '../kernel/time/timekeeping.ts'
import { radix_tree_init } from '../lib/xarray.ts'
import { init_boot_lists } from '../mm/mm_init.ts'
import { alloc_node_data } from '../mm/numa.ts'
import { kmem_cache_init, kstrdup } from '../mm/slab.ts'
import { loopback_net_init } from '../drivers/net/loopback.ts'
import { net_dev_init } from '../net/core/dev.ts'
import { net_ns_init } from '../net/core/net_namespace.ts'
import { skb_init } from '../net/core/skbuff.ts'
import { inet_init, net_sock_init } from '../net/ipv4/af_inet.ts'
import { ip_init } from '../net/ipv4/ip_init.ts'
import { tcp4_proc_init } from '../net/ipv4/tcp_ipv4/seq.ts'
import { udp4_proc_init } from '../net/ipv4/udp/seq.ts'
import { inet6_init } from '../net/ipv6/af_inet6.ts'
import { sock_init } from '../net/socket.ts'
import { af_unix_init } from '../net/unix/init.ts'
import { security_init } from '../security/security.ts'
import { init_init_task } from './init_task.ts'
import { rest_init } from './rest_init.ts'

// every file with system calls is loaded by now
declareIa32Handlers()

/** What every kernel was started with. */
const COMMAND_LINE = 'BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro quiet nokaslr'

/** Kept for /proc/cmdline. @see init/main.c:setup_command_line */
function setup_command_line(k: Kernel): void {
  const at = k.symbols.get('saved_command_line')
  if (at !== undefined) k.mem.setPointer(toVa(at, k.mem.wordSize), kstrdup(k, COMMAND_LINE))
}

/** @see init/main.c:start_kernel */
export function start_kernel(k: Kernel): void {
  init_boot_lists(k)
  alloc_node_data(k)
  init_printk_statics(k)
  init_init_task(k)
  printk_banner(k, bannerOf(k.profile), COMMAND_LINE)
  kmem_cache_init(k)
  setup_command_line(k)
  sched_init(k)
  radix_tree_init(k)
  init_timers(k)
  hrtimers_init(k)
  timekeeping_init(k)
  pid_idr_init(k)
  cred_init(k)
  fork_init(k)
  proc_caches_init(k)
  init_modules(k)
  security_init(k)
  net_ns_init(k)
  vfs_caches_init(k)
  chrdev_init(k)
  signals_init(k)
  seq_file_init(k)
  proc_root_init(k)
  proc_texts_init(k)
  proc_net_init(k)
  kallsyms_init(k)
  proc_modules_init(k)
  if (k.mem.wordSize === 8) syscall_table_init(k)
  else i386_syscall_table_init(k)
  ia32_syscall_table_init(k)
  net_sock_init(k)
  skb_init(k)
  sock_init(k)
  net_dev_init(k)
  ip_init(k)
  loopback_net_init(k)
  inet_init(k)
  af_unix_init(k)
  inet6_init(k)
  tcp4_proc_init(k)
  udp4_proc_init(k)
  init_pipe_fs(k)
  tty_init(k)
  prepare_namespace(k)
  rest_init(k)
}
