/** Mappings: protections, flags, and the bits of a `vm_area_struct`. @see include/uapi/asm-generic/mman-common.h, include/linux/mm.h */

export const PROT_READ = 0x1
export const PROT_WRITE = 0x2
export const PROT_EXEC = 0x4
export const MAP_SHARED = 0x1
export const MAP_PRIVATE = 0x2
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20

export const VM_READ = 0x1
export const VM_WRITE = 0x2
export const VM_EXEC = 0x4
export const VM_SHARED = 0x8
export const VM_MAYREAD = 0x10
export const VM_MAYWRITE = 0x20
export const VM_MAYEXEC = 0x40
export const VM_MAYSHARE = 0x80
export const VM_GROWSDOWN = 0x100
export const VM_PFNMAP = 0x400
export const VM_IO = 0x4000
export const VM_DONTEXPAND = 0x4_0000
export const VM_ACCOUNT = 0x10_0000
export const VM_DONTDUMP = 0x400_0000
export const VM_SOFTDIRTY = 0x800_0000

/** Kinds of resident pages in `mm_struct.rss_stat`. @see include/linux/mm_types_task.h */
export const MM_FILEPAGES = 0
export const MM_ANONPAGES = 1
export const MM_SWAPENTS = 2
export const MM_SHMEMPAGES = 3

/** Auxiliary vector. @see include/uapi/linux/auxvec.h */
export const AT_NULL = 0
export const AT_PHDR = 3
export const AT_PHENT = 4
export const AT_PHNUM = 5
export const AT_PAGESZ = 6
export const AT_BASE = 7
export const AT_FLAGS = 8
export const AT_ENTRY = 9
export const AT_UID = 11
export const AT_EUID = 12
export const AT_GID = 13
export const AT_EGID = 14
export const AT_PLATFORM = 15
export const AT_HWCAP = 16
export const AT_CLKTCK = 17
export const AT_SECURE = 23
export const AT_RANDOM = 25
export const AT_HWCAP2 = 26
export const AT_EXECFN = 31
export const AT_SYSINFO_EHDR = 33
export const AT_MINSIGSTKSZ = 51
