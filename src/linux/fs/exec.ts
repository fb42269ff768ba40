/**
 * Running a program: a new address space with its mappings, its arguments on the stack, and a task that has
 * forgotten what it was.
 *
 * @see fs/exec.c:begin_new_exec, fs/binfmt_elf.c:load_elf_binary
 */

import type { file, mm_struct, task_struct } from '../../btf/vmlinux.ts'
import * as auxv from '../../abi/mman.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { S_ISUID } from '../../abi/stat.ts'
import { PF_FORKNOEXEC, PF_RANDOMIZE, TIF_ADDR32 } from '../../abi/sched.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { commit_creds, prepare_creds } from '../kernel/cred.ts'
import { mm_release } from '../kernel/exit.ts'
import { loadUserPages } from '../kernel/sched/switch.ts'
import { flush_signal_handlers } from '../kernel/signal.ts'
import { atomic_long_inc } from '../lib/atomic_long.ts'
import { copy_to_user } from '../lib/usercopy.ts'
import { insert_vm_structs, mm_alloc, mmput, vm_area_alloc } from '../mm/mm_struct.ts'
import { protOf } from '../mm/user_pages.ts'
import { do_close_on_exec } from './file.ts'
import { fput } from './file_table.ts'
import { imageWord, layout, type AddressSpace, type Mapping } from './exec_layout.ts'
import { do_filp_open } from './open.ts'

/** What to run. */
export interface ExecImage {
  readonly path: string
  readonly argv: readonly string[]
  readonly envp: readonly string[]
  /** Size of the address space in KiB, as ps shows it (VSZ); a small program's when left out. */
  readonly vszKb?: number
  /** Resident memory in KiB (RSS). */
  readonly rssKb?: number
  /** The task's name when it is not the file's: a script's interpreter is called as the script. */
  readonly comm?: string
  /** Built for 32 bits. */
  readonly narrow?: boolean
}

/** @returns 0 or -errno @see fs/exec.c:do_execveat_common */
export const do_execveat_common = kfunc(
  'fs/exec.c',
  function* do_execveat_common(k, image: ExecImage): Generator<unknown, number> {
    return yield* bprm_execve(k, image)
  },
)

const bprm_execve = kfunc('fs/exec.c', function* bprm_execve(k, image: ExecImage): Generator<
  unknown,
  number
> {
  const file = yield* do_filp_open(k, image.path, 0, 0)
  if (typeof file === 'number') return file
  const space = layout(k, image)
  bprm_fill_uid(k, file)
  yield* begin_new_exec(k, image, file)
  const mm = deref(k.current.mm)
  mapAll(k, mm, space, file)
  setup_arg_pages(k, mm, space, image)
  finalize(mm, space, image)
  fput(k, file)
  return 0
})

/**
 * A file that makes whoever runs it its owner: the effective user changes, and with the superuser come all capabilities.
 * @see fs/exec.c:bprm_fill_uid, security/commoncap.c:cap_bprm_creds_from_file
 */
function bprm_fill_uid(k: Kernel, file: file): void {
  const inode = deref(file.f_inode)
  if ((inode.i_mode & S_ISUID) === 0) return
  const fresh = prepare_creds(k)
  for (const id of [fresh.euid, fresh.suid, fresh.fsuid]) id.val = inode.i_uid.val
  if (inode.i_uid.val === 0) {
    for (const set of [fresh.cap_permitted, fresh.cap_effective])
      k.mem.copy(set.$va, fresh.cap_bset.$va, set.$size)
  }
  commit_creds(k, fresh)
}

/** The point of no return: the old memory, handlers and marked descriptors go. @see fs/exec.c:begin_new_exec */
const begin_new_exec = kfunc(
  'fs/exec.c',
  function* begin_new_exec(k, image: ExecImage, file: file): Generator<unknown, void> {
    const task = k.current
    const mm = mm_alloc(k, task)
    atomic_long_inc(file.f_count)
    mm.exe_file = file
    exec_mmap(k, task, mm)
    task.flags = (task.flags & ~PF_FORKNOEXEC) | PF_RANDOMIZE
    task.comm.$setString(image.comm ?? image.path.replace(/^.*\//, ''))
    if (k.mem.wordSize === 8) set_personality(task, image.narrow === true)
    task.self_exec_id = task.self_exec_id + 1n
    flush_signal_handlers(k, task)
    yield* do_close_on_exec(k, deref(task.files))
  },
)

/** What kind of program it is, in its thread's flags. @see arch/x86/kernel/process_64.c:set_personality_64bit, set_personality_ia32 */
function set_personality(task: task_struct, narrow: boolean): void {
  const bit = 1n << BigInt(TIF_ADDR32)
  const info = task.thread_info
  info.flags = narrow ? info.flags | bit : info.flags & ~bit
}

const exec_mmap = kfunc('fs/exec.c', function exec_mmap(k, task: task_struct, mm: mm_struct) {
  const old = task.mm
  const borrowed = task.active_mm
  mm_release(k)
  task.mm = mm
  task.active_mm = mm
  k.mem.setPointer(k.per_cpu_va('cpu_tlbstate'), mm.$va)
  if (old !== null) mmput(k, old, (file) => fput(k, file))
  else if (borrowed !== null) borrowed.mm_count.counter = borrowed.mm_count.counter - 1
  loadUserPages(k)
})

function mapAll(k: Kernel, mm: mm_struct, space: AddressSpace, exe: file): void {
  const vmas = space.mappings.map((m) => {
    const vma = vm_area_alloc(k, mm)
    vma.vm_start = BigInt(m.start)
    vma.vm_end = BigInt(m.end)
    vma.vm_flags = BigInt(m.flags)
    vma.$set('vm_page_prot.pgprot', protOf(BigInt(m.flags)))
    vma.vm_pgoff = BigInt(m.pgoff)
    if (m.file === 'exe') {
      atomic_long_inc(exe.f_count)
      vma.vm_file = exe
    }
    return vma
  })
  insert_vm_structs(k, mm, vmas)
}

/** Strings, auxiliary vector and pointers at the top of the stack. @see fs/binfmt_elf.c:create_elf_tables */
function setup_arg_pages(k: Kernel, mm: mm_struct, space: AddressSpace, image: ExecImage): void {
  let at = space.stackTop - 8
  const push = (text: string): number => {
    const bytes = Buffer.from(`${text}\0`, 'utf8')
    at -= bytes.length
    copy_to_user(k, at, bytes, bytes.length)
    return at
  }
  const filename = push(image.path)
  mm.env_end = BigInt(filename)
  const envp = [...image.envp].reverse().map(push).reverse()
  mm.env_start = mm.arg_end = BigInt(envp[0] ?? at)
  const argv = [...image.argv].reverse().map(push).reverse()
  mm.arg_start = BigInt(argv[0] ?? at)
  const wordSize = imageWord(k, image)
  const platform = push(wordSize === 8 ? 'x86_64' : 'i686')
  at -= 16
  const random = at
  const aux = auxiliary(k, space, wordSize, { filename, platform, random })
  const words = [argv.length, ...argv, 0, ...envp, 0, ...aux]
  at = Math.floor((at - words.length * wordSize) / 16) * 16
  const bytes = Buffer.alloc(words.length * wordSize)
  words.forEach((word, i) => {
    if (wordSize === 8) bytes.writeBigUInt64LE(BigInt(word), i * 8)
    else bytes.writeUInt32LE(word, i * 4)
  })
  copy_to_user(k, at, bytes, bytes.length)
  mm.start_stack = BigInt(at)
  aux.forEach((word, i) => mm.saved_auxv.set(i, BigInt(word)))
}

function auxiliary(
  k: Kernel,
  space: AddressSpace,
  wordSize: 4 | 8,
  at: { filename: number; platform: number; random: number },
): number[] {
  const cred = deref(k.current.cred)
  const pairs: [number, number][] = [
    [auxv.AT_SYSINFO_EHDR, space.vdso],
    [auxv.AT_MINSIGSTKSZ, 1440],
    [auxv.AT_HWCAP, 0x178bfbfd],
    [auxv.AT_PAGESZ, PAGE_SIZE],
    [auxv.AT_CLKTCK, 100],
    // behind the file's header: sizes of elf64_hdr, elf64_phdr or of their 32-bit forms
    [auxv.AT_PHDR, space.exe + (wordSize === 8 ? 64 : 52)],
    [auxv.AT_PHENT, wordSize === 8 ? 56 : 32],
    [auxv.AT_PHNUM, 13],
    [auxv.AT_BASE, space.interpreter],
    [auxv.AT_FLAGS, 0],
    [auxv.AT_ENTRY, space.entry],
    [auxv.AT_UID, cred.uid.val],
    [auxv.AT_EUID, cred.euid.val],
    [auxv.AT_GID, cred.gid.val],
    [auxv.AT_EGID, cred.egid.val],
    [auxv.AT_SECURE, 0],
    [auxv.AT_RANDOM, at.random],
    [auxv.AT_HWCAP2, 0],
    [auxv.AT_EXECFN, at.filename],
    [auxv.AT_PLATFORM, at.platform],
    [auxv.AT_NULL, 0],
  ]
  return pairs.flat()
}

/** The sums and marks that /proc and ps show. */
function finalize(mm: mm_struct, space: AddressSpace, image: ExecImage): void {
  const pages = (m: Mapping): bigint => BigInt((m.end - m.start) / PAGE_SIZE)
  const sum = (which: (m: Mapping) => boolean): bigint =>
    space.mappings.filter(which).reduce((n, m) => n + pages(m), 0n)
  mm.total_vm = sum(() => true)
  mm.exec_vm = sum((m) => (m.flags & (auxv.VM_EXEC | auxv.VM_WRITE)) === auxv.VM_EXEC)
  mm.stack_vm = sum((m) => (m.flags & auxv.VM_GROWSDOWN) !== 0)
  mm.data_vm = sum((m) => (m.flags & (auxv.VM_WRITE | auxv.VM_SHARED | auxv.VM_GROWSDOWN)) === auxv.VM_WRITE)
  mm.start_code = BigInt(space.code[0])
  mm.end_code = BigInt(space.code[1])
  mm.start_data = BigInt(space.data[0])
  mm.end_data = BigInt(space.data[1])
  mm.start_brk = BigInt(space.heap[0])
  mm.brk = BigInt(space.heap[1])
  mm.mmap_base = BigInt(space.mmapBase)
  const rss = Math.floor((image.rssKb ?? 1444) / 4)
  const anonymous = Math.floor(rss / 4)
  mm.rss_stat.count.ref(auxv.MM_ANONPAGES)?.$set('counter', BigInt(anonymous))
  mm.rss_stat.count.ref(auxv.MM_FILEPAGES)?.$set('counter', BigInt(rss - anonymous))
}
