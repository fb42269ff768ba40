/**
 * `fwnet deny=ADDRESS port=PORT debug=1`: a firewall for TCP connections, in front of `socketcall`. A hook in the table
 * of 32-bit system calls looks at connect(2) and accept(2) and lets everything else through.
 *
 * It says "TCP only" and catches connect() of datagram sockets too. accept() is checked twice: before the call the
 * *output* buffer of the program, which the kernel has never written, so that accept(fd, NULL, NULL) fails; after it
 * the peer's address, when the new descriptor is installed already and stays open. Its static buffers are shared by
 * all tasks, and nothing keeps it from being unloaded under a task that sleeps in accept().
 *
 * @remarks on an x86-64 kernel the same source hooks the table of 32-bit programs, `ia32_sys_call_table`.
 */

import type { Va } from '../base/addr.ts'
import { EACCES, EFAULT, EINVAL, EIO } from '../abi/errno.ts'
import { AF_INET, SYS_ACCEPT, SYS_CONNECT } from '../abi/socket.ts'
import { ia32SyscallNumber } from '../abi/syscalls-ia32.ts'
import type { pt_regs } from '../btf/vmlinux.ts'
import { ia32_regs } from '../linux/arch/x86/entry/arguments.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import {
  call_original,
  defineModule,
  moduleOf,
  read_cr0,
  store_word,
  syscall_arg,
  syscall_int,
  type ModuleSelf,
} from '../linux/kernel/module/api.ts'
import { pr_err, pr_info } from '../linux/kernel/printk/printk.ts'
import { copy_from_user } from '../linux/lib/usercopy.ts'
import { cString, p } from '../linux/lib/vsprintf.ts'
import { in_aton } from '../linux/net/ipv4/devinet.ts'
import { declareFindSym, entryOf, entryVa, rw_disable, rw_enable } from './syscall_table.ts'

const NAME = 'fwnet'
const FILE = 'fwnet.c'
const OWN = { module: NAME } as const
/** accept() and connect() both take three arguments, of 32 bits. */
const PARMS = 3
const WORD = 4
const SIZEOF_SOCKADDR = 16
const SIZEOF_SOCKADDR_IN = { family: 0, port: 2, addr: 4 } as const
const MAX_ADDR_LEN = 32
const NR_socketcall = ia32SyscallNumber('socketcall')
/** Near the last call of i386. */
const LAST = ia32SyscallNumber('process_vm_writev')

/** The table of 32-bit calls, and what is looked for in it. */
const names = (k: Kernel) =>
  k.mem.wordSize === 4
    ? { table: 'sys_call_table', accept: 'sys_accept', connect: 'sys_connect', socketcall: 'sys_socketcall' }
    : {
        table: 'ia32_sys_call_table',
        accept: '__ia32_sys_accept',
        connect: '__ia32_sys_connect',
        socketcall: '__ia32_compat_sys_socketcall',
      }

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)
const LOG = (k: Kernel, text: string): void => pr_info(k, `! ${text}`)
const ERR = (k: Kernel, text: string): void => pr_err(k, `! ${text}`)
const DEB = (k: Kernel, text: string): void => {
  if (self(k).int('debug') > 0) LOG(k, text)
}

const find_sym = declareFindSym(NAME)

/** An address in host order into the module's one static buffer. @returns its text, read back from there */
function in4_ntoa(k: Kernel, ip: number): string {
  const at = self(k).sym('saddr')
  const text = [24, 16, 8, 0].map((shift) => (ip >>> shift) & 0xff).join('.')
  k.mem.write(at, Buffer.from(`${text}\0`, 'latin1'))
  return cString(k, at, MAX_ADDR_LEN)
}

/** The call's three arguments and the socket address the second points at, into static variables. */
const get_addr = kfunc(
  FILE,
  function get_addr(k, args: bigint): number {
    const [a, sa] = [self(k).sym('a'), self(k).sym('sa')]
    if (copy_from_user(k, a, args, PARMS * WORD) !== 0) return -EFAULT
    const addr = BigInt(k.mem.u32(a + WORD))
    return copy_from_user(k, sa, addr, SIZEOF_SOCKADDR) === 0 ? 0 : -EFAULT
  },
  OWN,
)

/** What is in `sa` now; undefined when it is no IPv4 address. */
function usin(k: Kernel): { readonly ip: number; readonly port: number } | undefined {
  const sa: Va = self(k).sym('sa')
  if (k.mem.u16(sa + SIZEOF_SOCKADDR_IN.family) !== AF_INET) return undefined
  const byte = (at: number): number => k.mem.u8(sa + at)
  const { port, addr } = SIZEOF_SOCKADDR_IN
  const ip = ((byte(addr) << 24) | (byte(addr + 1) << 16) | (byte(addr + 2) << 8) | byte(addr + 3)) >>> 0
  return { ip, port: (byte(port) << 8) | byte(port + 1) }
}

/** `ADDRESS:PORT`, unless one of them is denied: then the error. @param what as the log says it */
function check(k: Kernel, what: 'connect to' | 'accept from'): number {
  const end = usin(k)
  if (end === undefined) return 0
  const me = self(k)
  DEB(k, `${what} ${in4_ntoa(k, end.ip)}:${end.port}`)
  const [denied, port] = [me.charp('deny') !== null && end.ip === me.int('ipdeny') >>> 0, me.int('port')]
  if (!denied && (port === 0 || end.port !== port)) return 0
  LOG(k, `${what} ${in4_ntoa(k, end.ip)}:${end.port} denied`)
  return -EACCES
}

/** Before accept(): whatever bytes are in the program's buffer. A port of 0, when none is denied, matches as well. */
function checkBefore(k: Kernel): number {
  const end = usin(k)
  if (end === undefined) return 0
  DEB(k, `accept before: port = ${end.port}`)
  if (end.port !== self(k).int('port')) return 0
  LOG(k, `accept from denied port ${end.port}`)
  return -EIO
}

/**
 * socketcall(call, args) as every 32-bit program's calls on sockets come through it now.
 * @returns -EACCES or -EIO where a rule says so, -EFAULT where an argument cannot be read, else what the kernel returned
 */
const new_sys_socketcall = kfunc(
  FILE,
  function* new_sys_socketcall(k, regs: pt_regs): Generator<unknown, number> {
    const narrow = ia32_regs(regs)
    const [call, args] = [syscall_int(narrow, 0), syscall_arg(narrow, 1)]
    if (call === SYS_ACCEPT || call === SYS_CONNECT) {
      const err = get_addr(k, args)
      if (err < 0) return err
      const refused = call === SYS_ACCEPT ? checkBefore(k) : check(k, 'connect to')
      if (refused !== 0) return refused
    }
    const ret = yield* call_original(k, self(k).word('old_sys_socketcall'), regs)
    if (call !== SYS_ACCEPT) return ret
    const err = get_addr(k, args)
    if (err < 0) return err
    const refused = check(k, 'accept from')
    return refused !== 0 ? refused : ret
  },
  OWN,
)

/** Where in the table a function is; -1 when it is not. The symbol is looked for once more. */
function pos_in_table(k: Kernel, symbol: string): number {
  const waddr = find_sym(k, symbol)
  if (waddr === 0n) return -1
  const taddr = self(k).word('taddr')
  for (let n = 0; n <= LAST; n++) if (entryOf(k, taddr, n) === waddr) return n
  return -1
}

function show_in_table(k: Kernel, symb: string): void {
  const waddr = find_sym(k, symb)
  if (waddr === 0n) {
    DEB(k, `symbol ${symb} not found in kernel`)
    return
  }
  const n = pos_in_table(k, symb)
  const where = n > 0 ? `position in sys_call_table = ${n}` : 'not found in sys_call_table'
  DEB(k, `symbol ${symb} address = ${p(k, waddr)}, ${where}`)
}

const show_cr0 = (k: Kernel): void => DEB(k, `CR0 = ${read_cr0(k).toString(16)}`)

const init = kfunc(
  FILE,
  function init(k): number {
    const me = self(k)
    const symbols = names(k)
    const deny = me.charp('deny')
    const ipdeny = deny === null ? 0 : hostOrder(in_aton(deny))
    k.mem.setU32(me.sym('ipdeny'), ipdeny)
    LOG(k, `denied IP: ${deny === null ? 'no' : in4_ntoa(k, ipdeny)}`)
    if (me.int('port') !== 0) LOG(k, `denied TCP port: ${me.int('port')}`)
    const taddr = find_sym(k, symbols.table)
    me.setWord('taddr', taddr)
    if (taddr === 0n) {
      ERR(k, 'sys_call_table not found')
      return -EINVAL
    }
    DEB(k, `sys_call_table address = ${p(k, taddr)}`)
    show_in_table(k, symbols.accept)
    show_in_table(k, symbols.connect)
    show_in_table(k, symbols.socketcall)
    const old = entryOf(k, taddr, NR_socketcall)
    me.setWord('old_sys_socketcall', old)
    const waddr = find_sym(k, symbols.socketcall)
    if (waddr === 0n) {
      ERR(k, 'sys_socketcall not found')
      return -EINVAL
    }
    if (old !== waddr) {
      ERR(k, "Oooops! I don't understand: addresses not equal")
      return -EINVAL
    }
    install(k, taddr)
    LOG(k, `install new sys_socketcall handler: ${p(k, k.text(new_sys_socketcall))}`)
    return 0
  },
  OWN,
)

/** The line between the two others is printed when the table has been written to already. */
function install(k: Kernel, taddr: bigint): void {
  show_cr0(k)
  rw_enable(k)
  store_word(k, entryVa(k, taddr, NR_socketcall), k.text(new_sys_socketcall))
  show_cr0(k)
  rw_disable(k)
  show_cr0(k)
}

const hostOrder = (be: number): number =>
  Number.isNaN(be)
    ? 0
    : ((be & 0xff) * 2 ** 24 + ((be >>> 8) & 0xff) * 65536 + ((be >>> 16) & 0xff) * 256 + (be >>> 24)) >>> 0

const exit = kfunc(
  FILE,
  function exit(k): void {
    const me = self(k)
    const taddr = me.word('taddr')
    const show = (): string => p(k, entryOf(k, taddr, NR_socketcall))
    LOG(k, `sys_socketcall handler before unload: ${show()}`)
    rw_enable(k)
    store_word(k, entryVa(k, taddr, NR_socketcall), me.word('old_sys_socketcall'))
    rw_disable(k)
    LOG(k, `restore old sys_socketcall handler: ${show()}`)
  },
  OWN,
)

export const fwnet = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'refuses TCP connections, in front of socketcall',
  params: [
    { name: 'debug', type: 'uint', description: 'debug output level: 0, 1, 2' },
    { name: 'deny', type: 'charp', description: 'denied IPv4' },
    { name: 'port', type: 'int', description: 'denied port' },
  ],
  imports: ['_printk', 'kallsyms_on_each_symbol', 'in_aton', 'sprintf', '_copy_from_user', 'param_ops_charp', 'param_ops_int', 'param_ops_uint'], // prettier-ignore
  functions: [find_sym, get_addr, new_sys_socketcall],
  textSizes: { find_sym: 0x60, get_addr: 0x70 },
  coreBytes: 13116,
  variables: [
    { name: 'taddr', size: 8 },
    { name: 'ipdeny', size: 4 },
    { name: 'old_sys_socketcall', size: 8 },
    { name: 'a', size: PARMS * WORD },
    { name: 'sa', size: SIZEOF_SOCKADDR },
    { name: 'saddr', size: MAX_ADDR_LEN },
  ],
  init,
  exit,
})
