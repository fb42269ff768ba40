/** AF_UNIX comes up: its protocols, its tables of operations, the table of its sockets. @see net/unix/af_unix.c:af_unix_init */

import type { StructRef } from '../../../btf/ref.ts'
import { AF_UNIX } from '../../../abi/socket.ts'
import { UNIX_HASH_SIZE } from '../../../abi/un.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc, type KFunctionInfo } from '../../kfunc.ts'
import { kvzalloc } from '../../mm/slab.ts'
import { init_net } from '../core/net_namespace.ts'
import {
  proto_register,
  sock_no_accept,
  sock_no_listen,
  sock_no_mmap,
  sock_no_sendpage,
} from '../core/sock.ts'
import { sock_register } from '../socket.ts'
import { fillOps } from '../ipv4/tcp_ipv4/tables.ts'
import {
  unix_accept,
  unix_bind,
  unix_dgram_connect,
  unix_getname,
  unix_listen,
  unix_poll,
  unix_shutdown,
  unix_stream_connect,
} from './connect.ts'
import { unix_create, unix_release, unix_socketpair } from './create.ts'
import {
  unix_dgram_recvmsg,
  unix_dgram_sendmsg,
  unix_stream_recvmsg,
  unix_stream_sendmsg,
} from './messages.ts'

const FILE = 'net/unix/af_unix.c'
const MAX_DGRAM_QLEN = 10
/** Places in the counters of sockets in use. */
const INUSE = { dgram: 7, stream: 8 }

/** Nothing: sockets are released by their operations. */
const unix_close = kfunc(FILE, function unix_close(): void {})
const unix_unhash = kfunc(FILE, function unix_unhash(): void {})

const COMMON = {
  release: unix_release,
  bind: unix_bind,
  socketpair: unix_socketpair,
  getname: unix_getname,
  ioctl: 'unix_ioctl',
  compat_ioctl: 'unix_compat_ioctl',
  shutdown: unix_shutdown,
  show_fdinfo: 'unix_show_fdinfo',
  mmap: sock_no_mmap,
  set_peek_off: 'unix_set_peek_off',
} as const

type Table = Readonly<Record<string, { readonly kfunc: KFunctionInfo } | string>>
const TABLES: Readonly<Record<string, Table>> = {
  unix_stream_ops: {
    connect: unix_stream_connect,
    accept: unix_accept,
    poll: unix_poll,
    listen: unix_listen,
    sendmsg: unix_stream_sendmsg,
    recvmsg: unix_stream_recvmsg,
    sendpage: 'unix_stream_sendpage',
    splice_read: 'unix_stream_splice_read',
    read_skb: 'unix_stream_read_skb',
  },
  unix_dgram_ops: {
    connect: unix_dgram_connect,
    accept: sock_no_accept,
    poll: unix_poll,
    listen: sock_no_listen,
    sendmsg: unix_dgram_sendmsg,
    recvmsg: unix_dgram_recvmsg,
    sendpage: sock_no_sendpage,
    read_skb: 'unix_read_skb',
  },
  unix_seqpacket_ops: {
    connect: unix_stream_connect,
    accept: unix_accept,
    poll: unix_poll,
    listen: unix_listen,
    sendmsg: unix_dgram_sendmsg,
    recvmsg: unix_dgram_recvmsg,
    sendpage: sock_no_sendpage,
  },
}

function initProto(k: Kernel, symbol: string, name: string, inuse: number): void {
  const prot = k.global(symbol, 'proto')
  fillOps(k, prot, {
    close: unix_close,
    psock_update_sk_prot: `${symbol.replace('_proto', '')}_bpf_update_proto`,
  })
  if (symbol === 'unix_stream_proto') fillOps(k, prot, { unhash: unix_unhash })
  prot.obj_size = k.types.sizeof('unix_sock')
  prot.inuse_idx = inuse
  prot.name.$setString(name)
  proto_register(k, prot)
}

/** @remarks descriptors in messages (SCM_RIGHTS) are not simulated, so there is nothing to collect */
export const af_unix_init = kfunc(FILE, function af_unix_init(k: Kernel): number {
  initProto(k, 'unix_dgram_proto', 'UNIX', INUSE.dgram)
  initProto(k, 'unix_stream_proto', 'UNIX-STREAM', INUSE.stream)
  for (const [symbol, table] of Object.entries(TABLES)) {
    const ops: StructRef = k.global(symbol, 'proto_ops')
    ops.$set('family', AF_UNIX)
    fillOps(k, ops, { ...COMMON, ...table })
  }
  const family = k.global('unix_family_ops', 'net_proto_family')
  family.family = AF_UNIX
  family.create = k.text(unix_create)
  sock_register(k, family)
  const { unx } = init_net(k)
  unx.sysctl_max_dgram_qlen = MAX_DGRAM_QLEN
  unx.table.buckets = BigInt(kvzalloc(k, UNIX_HASH_SIZE * k.mem.wordSize))
  unx.table.locks = BigInt(kvzalloc(k, UNIX_HASH_SIZE * k.types.sizeof('spinlock_t')))
  return 0
})
