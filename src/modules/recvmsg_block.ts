/**
 * `recvmsg_block deny=ADDRESS [errno=EPERM] [debug=1]`: refuses receiving from one peer, as a security hook.
 *
 * It compares `inet_daddr`, the *peer*; `inet_saddr` is the local address. Since 5.7 no module may look symbols
 * up, so the lookup function's own address is taken from a probe on it; and since `security_add_hooks` is gone after
 * boot, the module links its entry into `security_hook_heads.socket_recvmsg` by hand, at the end of the list: it is
 * asked when all others have agreed.
 *
 * The store lands in the last entry's `next`, which is read-only after boot: the module clears CR0.WP around it.
 */

import { toVa } from '../base/addr.ts'
import { AF_INET } from '../abi/socket.ts'
import { EINVAL, ENOENT, EPERM } from '../abi/errno.ts'
import * as errno from '../abi/errno.ts'
import type { msghdr, sock, socket } from '../btf/vmlinux.ts'
import { hlist_add_tail_rcu, hlist_del_rcu } from '../structures/hlist.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import type { kallsyms_lookup_name } from '../linux/kernel/kallsyms.ts'
import { register_kprobe, unregister_kprobe } from '../linux/kernel/kprobes.ts'
import { defineModule, moduleOf, type ModuleSelf } from '../linux/kernel/module/api.ts'
import { pr_err, pr_info } from '../linux/kernel/printk/printk.ts'
import { synchronize_rcu } from '../linux/kernel/rcu/tree.ts'
import { rw_disable, rw_enable } from './syscall_table.ts'

const NAME = 'recvmsg_block'
const FILE = 'recvmsg_block.c'
const OWN = { module: NAME } as const
const SIZEOF_KPROBE = 128
const SIZEOF_SECURITY_HOOK_LIST = 40
const INADDR_NONE = 0xffff_ffff

const self = (k: Kernel): ModuleSelf => moduleOf(k, NAME)

/** "%pI4": the four bytes as they lie in memory. */
const dotted = (address: number): string =>
  [0, 8, 16, 24].map((shift) => (address >>> shift) & 0xff).join('.')

/** @returns the address in network byte order, as it lies in memory; INADDR_NONE when it is none */
function in_aton(text: string): number {
  const parts = text.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256))
  if (parts.length !== 4 || parts.some((part) => part > 255)) return INADDR_NONE
  return parts.reduceRight((address, part) => ((address << 8) | part) >>> 0, 0)
}

/** EPERM, or a number. @returns 0 when it is neither */
function errnoOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  const value = (errno as Readonly<Record<string, unknown>>)[text]
  return typeof value === 'number' ? value : 0
}

/** Where the running kernel has its hooks; the probe is only there to be told an address. */
const find_hook_heads = kfunc(
  FILE,
  function find_hook_heads(k): bigint {
    const me = self(k)
    const kp = k.ref('kprobe', me.sym('lookup_kp'))
    k.mem.fill(kp.$va, 0, kp.$size)
    k.mem.setPointer(kp.$vaOf('symbol_name'), me.string('kallsyms_lookup_name'))
    if (register_kprobe(k, kp) !== 0) return 0n
    const lookup = kp.addr
    unregister_kprobe(k, kp)
    return k.indirect<typeof kallsyms_lookup_name>(lookup)(k, 'security_hook_heads')
  },
  OWN,
)

/**
 * The hook: refuse when the peer is the denied address.
 *
 * @param sock `struct socket *`; `msg->msg_name` is not filled at this point, so the peer is the sock's
 * @returns 0, or -errno, which recv(2) returns; the data stays in the receive queue
 */
export const recvmsg_block_socket_recvmsg = kfunc(
  FILE,
  function recvmsg_block_socket_recvmsg(k, sock: socket, msg: msghdr, size: number, flags: number): number {
    const sk: sock | null = sock.sk
    if (sk?.__sk_common.skc_family !== AF_INET) return 0
    const me = self(k)
    const inet = k.ref('inet_sock', sk)
    const peer = k.mem.u32(inet.$vaOf('sk.__sk_common.skc_daddr'))
    const from = `${dotted(peer)}:${portOf(k, inet.$vaOf('sk.__sk_common.skc_dport'))}`
    if (peer !== k.mem.u32(me.sym('deny_addr'))) {
      if (me.int('debug') !== 0)
        pr_info(k, `${NAME}: recvmsg from ${from} allowed (${size} bytes, flags ${flags})`)
      return 0
    }
    const local = dotted(inet.inet_saddr)
    pr_info(k, `${NAME}: denied recvmsg from ${from} (saddr ${local} is our own address)`)
    return -me.int('deny_errno')
  },
  OWN,
)

const portOf = (k: Kernel, at: number): number => (k.mem.u8(at) << 8) | k.mem.u8(at + 1)

const recvmsg_block_init = kfunc(
  FILE,
  function recvmsg_block_init(k): number {
    const me = self(k)
    const text = me.charp('deny') ?? ''
    const address = in_aton(text)
    const code = errnoOf(me.charp('errno') ?? 'EPERM')
    if (address === INADDR_NONE || code <= 0 || code > 4095) {
      pr_err(k, `${NAME}: deny= must be an IPv4 address, errno= an error's name or number`)
      return -EINVAL
    }
    k.mem.setU32(me.sym('deny_addr'), address)
    k.mem.setU32(me.sym('deny_errno'), code)
    const heads = find_hook_heads(k)
    if (heads === 0n) return -ENOENT
    if (me.int('debug') !== 0) pr_info(k, `${NAME}: security_hook_heads at ${heads.toString(16)}`)
    link(k, me, heads)
    pr_info(k, `${NAME}: recvmsg from ${text} will return ${-code}`)
    return 0
  },
  OWN,
)

/** What `security_add_hooks` would do. */
function link(k: Kernel, me: ModuleSelf, heads: bigint): void {
  const head = toVa(heads, k.mem.wordSize) + k.types.offsetof('security_hook_heads', 'socket_recvmsg')
  const entry = k.ref('security_hook_list', me.sym('recvmsg_block_hooks'))
  k.mem.setPointer(entry.$vaOf('head'), head)
  k.mem.setWord(entry.$vaOf('hook'), k.text(recvmsg_block_socket_recvmsg))
  k.mem.setPointer(entry.$vaOf('lsm'), me.string(NAME))
  rw_enable(k)
  hlist_add_tail_rcu(k.mem, entry.list.$va, head)
  rw_disable(k)
}

const recvmsg_block_exit = kfunc(
  FILE,
  function recvmsg_block_exit(k): void {
    const entry = k.ref('security_hook_list', self(k).sym('recvmsg_block_hooks'))
    rw_enable(k)
    hlist_del_rcu(k.mem, entry.list.$va)
    rw_disable(k)
    synchronize_rcu(k)
    pr_info(k, `${NAME}: hook removed`)
  },
  OWN,
)

export const recvmsg_block = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'coredrill',
  description: 'refuses recvmsg from one peer, as a security hook',
  version: '1.0',
  params: [
    { name: 'deny', type: 'charp', perm: 0o444, description: 'IPv4 address of the peer to refuse' },
    {
      name: 'errno',
      type: 'charp',
      perm: 0o444,
      description: 'what recv returns, by name or number (EPERM)',
    },
    { name: 'debug', type: 'int', perm: 0o644, description: 'log what is allowed, too' },
  ],
  imports: ['_printk', 'register_kprobe', 'unregister_kprobe', 'synchronize_rcu', 'in_aton', 'param_ops_charp', 'param_ops_int'], // prettier-ignore
  strings: [NAME, 'kallsyms_lookup_name'],
  variables: [
    { name: 'lookup_kp', size: SIZEOF_KPROBE },
    { name: 'recvmsg_block_hooks', size: SIZEOF_SECURITY_HOOK_LIST },
    { name: 'deny_addr', size: 4, align: 4 },
    { name: 'deny_errno', size: 4, align: 4, initial: Uint8Array.of(EPERM, 0, 0, 0) },
  ],
  functions: [find_hook_heads, recvmsg_block_socket_recvmsg],
  init: recvmsg_block_init,
  exit: recvmsg_block_exit,
})
