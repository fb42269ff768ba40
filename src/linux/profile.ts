/** A profile: what differs between one kernel and another, and nothing that could be read out of memory. */

export interface Profile {
  readonly name: string
  /** The folder of src/layouts the types and symbols come from. */
  readonly layout: string
  readonly wordSize: 4 | 8
  /** Page tables of 64-bit entries on 32 bits: CONFIG_X86_PAE. */
  readonly pae: boolean
  /** `uname -r` */
  readonly release: string
  /** `uname -v` */
  readonly version: string
  /** `uname -m` */
  readonly machine: string
  /** Between "Linux version RELEASE " and the version: builder and compiler, as `linux_banner` has them. */
  readonly builder: string
  /** How a system call number becomes a function. */
  readonly syscallDispatch: 'table' | 'switch' | 'socketcall'
  /** How stack traces are made: frame pointers miss the caller of a function that is just being entered. */
  readonly unwinder: 'orc' | 'fp'
  /** Letters of `..s..`: how many columns a trace event's flags have. */
  readonly preemptCount: boolean
  /** The security modules in the order in which their hooks are called, as /sys/kernel/security/lsm has them. */
  readonly lsm: readonly string[]
  /** Sizes of functions where they differ from the layout's, or of functions the layout has inlined. */
  readonly functionSizes: Readonly<Record<string, number>>
  /** Read-only data this kernel has and the layout's has not: bytes of each. */
  readonly objects?: Readonly<Record<string, number>>
  /** Symbols of the layout that this kernel has not. */
  readonly absent?: readonly string[]
  /** Offset behind a call: `caller>callee` to bytes from the caller's start. */
  readonly returnOffsets: Readonly<Record<string, number>>
  /** The layout is not this kernel's own: said by `info` and the README. */
  readonly borrowedLayout: boolean
}

export const profiles: readonly Profile[] = [
  {
    name: 'debian-6.1-x86_64',
    layout: 'linux-6.1.192-x86_64',
    wordSize: 8,
    pae: false,
    release: '6.1.0-56-amd64',
    version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)',
    machine: 'x86_64',
    builder:
      '(debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40)',
    syscallDispatch: 'switch',
    unwinder: 'orc',
    preemptCount: true,
    lsm: ['lockdown', 'capability', 'landlock', 'yama', 'apparmor', 'tomoyo', 'bpf'],
    functionSizes: {},
    returnOffsets: {},
    borrowedLayout: false,
  },
  {
    name: 'ubuntu-5.15-x86_64',
    layout: 'linux-6.1.192-x86_64',
    wordSize: 8,
    pae: false,
    release: '5.15.0-56-generic',
    version: '#62-Ubuntu SMP Tue Nov 22 19:54:14 UTC 2022',
    machine: 'x86_64',
    builder:
      '(buildd@lcy02-amd64-004) (gcc (Ubuntu 11.3.0-1ubuntu1~22.04) 11.3.0, GNU ld (GNU Binutils for Ubuntu) 2.38)',
    syscallDispatch: 'table',
    unwinder: 'fp',
    preemptCount: false,
    lsm: ['lockdown', 'capability', 'landlock', 'yama', 'apparmor'],
    functionSizes: {
      tcp_v4_send_synack: 0x200,
      inet_csk_complete_hashdance: 0x320,
      tcp_check_req: 0x620,
      inet_accept: 0x170,
      // not inlined in this kernel
      __sys_accept4_file: 0xb0,
      cpuidle_idle_call: 0x1d0,
      // int $0x80 is an interrupt entry like any other only since 6.7 and its backports
      entry_INT80_compat: 0x8a,
      do_int80_syscall_32: 0x66,
    },
    objects: { ia32_sys_call_table: 449 * 8 },
    absent: ['x64_sys_call', 'ia32_sys_call', 'asm_int80_emulation', 'int80_emulation', 'do_int80_emulation'],
    returnOffsets: {
      'tcp_check_req>inet_csk_complete_hashdance': 0x1ae,
      'inet_accept>inet_csk_accept': 0x42,
    },
    borrowedLayout: true,
  },
  {
    name: 'linux-3.13-i386',
    layout: 'linux-6.1.176-i386',
    wordSize: 4,
    pae: true,
    release: '3.13.0-37-generic',
    version: '#64-Ubuntu SMP Mon Sep 22 21:30:01 UTC 2014',
    machine: 'i686',
    builder: '(buildd@tipua) (gcc version 4.8.2 (Ubuntu 4.8.2-19ubuntu1) )',
    syscallDispatch: 'socketcall',
    unwinder: 'fp',
    preemptCount: false,
    lsm: ['capability', 'yama', 'apparmor'],
    // gone since
    functionSizes: { sys_bdflush: 0x80, sys_sysctl: 0x90 },
    returnOffsets: {},
    borrowedLayout: true,
  },
  {
    name: 'linux-2.6.24-i386',
    layout: 'linux-6.1.176-i386',
    wordSize: 4,
    pae: false,
    release: '2.6.24',
    version: '#1 SMP Thu Jan 24 22:58:37 UTC 2008',
    machine: 'i686',
    builder: '(root@localhost) (gcc version 4.1.2)',
    syscallDispatch: 'socketcall',
    unwinder: 'fp',
    preemptCount: false,
    lsm: ['capability'],
    // gone since
    functionSizes: { sys_bdflush: 0x80, sys_sysctl: 0x90 },
    returnOffsets: {},
    borrowedLayout: true,
  },
]

export function findProfile(name: string): Profile | undefined {
  return profiles.find((profile) => profile.name === name)
}
