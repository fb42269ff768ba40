/** The system calls behind insmod and rmmod. @see kernel/module/main.c */

import type { file, pt_regs } from '../../../btf/vmlinux.ts'
import { EBADF, EFAULT, ENOEXEC, EPERM } from '../../../abi/errno.ts'
import { CAP_SYS_MODULE } from '../../../abi/capability.ts'
import { MODULE_NAME_LEN } from '../../../abi/module.ts'
import { PAGE_SIZE } from '../../../abi/page.ts'
import { toVa } from '../../../base/addr.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { deref } from '../../deref.ts'
import { fdget, fdput } from '../../fs/file.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { strncpy_from_user } from '../../lib/usercopy.ts'
import { takeRequest } from '../syscalls.ts'
import { security_capable } from '../../security/security/task.ts'
import { findModuleDefinition } from './api.ts'
import { delete_module, load_module } from './main.ts'

const FILE = 'kernel/module/main.c'
type Call = Generator<unknown, number>

/** May the running task load and unload modules? @see kernel/module/main.c:may_init_module */
const may_init_module = (k: Kernel): number =>
  security_capable(k, deref(k.current.cred), k.current.cred?.user_ns ?? null, CAP_SYS_MODULE) === 0
    ? 0
    : -EPERM

/** The name a file was opened by. */
function fileName(k: Kernel, file: file): string {
  const name = deref(file.f_path.dentry).d_name
  const at = toVa(name.name, k.mem.wordSize)
  return Buffer.from(k.mem.read(at, Math.min(name.len, 255))).toString('latin1')
}

/**
 * @see kernel/module/main.c:__do_sys_finit_module
 * @remarks the file is known by its name: what it holds is the definition registered under it.
 */
const __do_sys_finit_module = kfunc(
  FILE,
  function* __do_sys_finit_module(k, fd: number, uargs: bigint): Call {
    const rc = may_init_module(k)
    if (rc !== 0) return rc
    const f = fdget(k, fd)
    if (f.file === null) return -EBADF
    const definition = findModuleDefinition(fileName(k, f.file))
    fdput(k, f)
    if (definition === undefined) return -ENOEXEC
    const args = strncpy_from_user(k, uargs, PAGE_SIZE)
    if (args === undefined) return -EFAULT
    return yield* load_module(k, definition, args)
  },
)

/**
 * init_module(image, len, args): the way before 3.8.
 * @remarks what the memory holds is known by the name of the file it was read from.
 */
export const __x64_sys_init_module = kfunc(
  FILE,
  function* __x64_sys_init_module(k: Kernel, regs: pt_regs): Call {
    const rc = may_init_module(k)
    const { module } = takeRequest(k)
    if (rc !== 0) return rc
    const definition = module === undefined ? undefined : findModuleDefinition(module)
    if (definition === undefined) return -ENOEXEC
    const args = strncpy_from_user(k, syscall_arg(regs, 2), PAGE_SIZE)
    if (args === undefined) return -EFAULT
    return yield* load_module(k, definition, args)
  },
)

/** finit_module(fd, uargs, flags) */
export const __x64_sys_finit_module = kfunc(
  FILE,
  function* __x64_sys_finit_module(k: Kernel, regs: pt_regs): Call {
    return yield* __do_sys_finit_module(k, syscall_int(regs, 0), syscall_arg(regs, 1))
  },
  { sibling: true },
)

const __do_sys_delete_module = kfunc(FILE, function* __do_sys_delete_module(k, name_user: bigint): Call {
  const rc = may_init_module(k)
  if (rc !== 0) return rc
  const name = strncpy_from_user(k, name_user, MODULE_NAME_LEN)
  return name === undefined ? -EFAULT : yield* delete_module(k, name)
})

/** delete_module(name, flags) */
export const __x64_sys_delete_module = kfunc(
  FILE,
  function* __x64_sys_delete_module(k: Kernel, regs: pt_regs): Call {
    return yield* __do_sys_delete_module(k, syscall_arg(regs, 0))
  },
  { sibling: true },
)
