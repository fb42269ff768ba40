/**
 * How a program's words reach the kernel: numbers of system calls, sizes of words, and the calls on sockets that the
 * 32-bit C library makes through socketcall(2).
 *
 * @remarks the C library of 32-bit programs is one of the time of Linux 3.x: no socket call of its own number.
 */

import * as net from '../abi/socket.ts'
import { ia32SyscallNumber } from '../abi/syscalls-ia32.ts'
import { syscallNumber } from '../abi/syscalls-x86_64.ts'
import { enterSyscall, type UserRegisters } from '../linux/arch/x86/entry/common.ts'
import { enterSystemCall } from '../linux/arch/x86/entry/entry_32.ts'
import { enterInt80 } from '../linux/arch/x86/entry/ia32.ts'
import type { Kernel } from '../linux/kernel.ts'

/** `x86_64`: native; `ia32`: a 32-bit program on a 64-bit kernel; `i386`: on a 32-bit one. */
export type AbiName = 'x86_64' | 'ia32' | 'i386'

export interface Abi {
  readonly name: AbiName
  readonly wordSize: 4 | 8
  /** The number of a call by its name in user space; -1 when there is none. */
  readonly number: (name: string) => number
  /** The call's number within socketcall(2); undefined when it is made directly. */
  readonly socketcall: (name: string) => number | undefined
  /** The instruction that enters the kernel. */
  readonly enter: (k: Kernel, nr: number, user: UserRegisters) => Generator<unknown, number>
}

/** What the 32-bit C library calls where the plain name is that of an older, narrower call. */
const WIDER: Readonly<Record<string, string>> = {
  newuname: 'uname',
  newfstatat: 'fstatat64',
  stat: 'stat64',
  lstat: 'lstat64',
  fstat: 'fstat64',
  fcntl: 'fcntl64',
  getuid: 'getuid32',
  getgid: 'getgid32',
  geteuid: 'geteuid32',
  getegid: 'getegid32',
  setuid: 'setuid32',
  setgid: 'setgid32',
}

const SOCKETCALLS: Readonly<Record<string, number>> = {
  socket: net.SYS_SOCKET,
  bind: net.SYS_BIND,
  connect: net.SYS_CONNECT,
  listen: net.SYS_LISTEN,
  accept: net.SYS_ACCEPT,
  getsockname: net.SYS_GETSOCKNAME,
  getpeername: net.SYS_GETPEERNAME,
  socketpair: net.SYS_SOCKETPAIR,
  send: net.SYS_SEND,
  recv: net.SYS_RECV,
  sendto: net.SYS_SENDTO,
  recvfrom: net.SYS_RECVFROM,
  shutdown: net.SYS_SHUTDOWN,
  setsockopt: net.SYS_SETSOCKOPT,
  getsockopt: net.SYS_GETSOCKOPT,
  sendmsg: net.SYS_SENDMSG,
  recvmsg: net.SYS_RECVMSG,
  accept4: net.SYS_ACCEPT4,
  recvmmsg: net.SYS_RECVMMSG,
  sendmmsg: net.SYS_SENDMMSG,
}

const x86_64: Abi = {
  name: 'x86_64',
  wordSize: 8,
  number: syscallNumber,
  socketcall: () => undefined,
  enter: enterSyscall,
}

const i386: Abi = {
  name: 'i386',
  wordSize: 4,
  number: (name) => ia32SyscallNumber(WIDER[name] ?? name),
  socketcall: (name) => SOCKETCALLS[name],
  enter: enterSystemCall,
}

/** `int 0x80` of a 32-bit program under a 64-bit kernel. */
const ia32: Abi = { ...i386, name: 'ia32', enter: enterInt80 }

/** The words of a program on this machine. @param narrow built for 32 bits */
export function abiOf(k: Kernel, narrow: boolean): Abi {
  if (k.profile.wordSize === 4) return i386
  return narrow ? ia32 : x86_64
}
