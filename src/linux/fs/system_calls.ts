/** The files whose system calls a machine must know: a handler is found by its name once its file is loaded. */

import './dup.ts'
import './fcntl.ts'
import './ioctl.ts'
import './mknod.ts'
import './read_write.ts'
import './select.ts'
import './stat.ts'
import './stat64.ts'
import './readdir.ts'
import './syscalls.ts'
import '../kernel/printk/syslog.ts'
import '../kernel/syscalls.ts'
