/** /proc/net/udp and udp6. @see net/ipv4/udp.c:udp4_seq_show, net/ipv6/udp.c:udp6_seq_show */

import type { Va } from '../../../../base/addr.ts'
import { toVa } from '../../../../base/addr.ts'
import type { seq_file } from '../../../../btf/vmlinux.ts'
import { proc_create_seq_private } from '../../../fs/proc/generic.ts'
import { proc_net } from '../../../fs/proc/proc_net.ts'
import { seq_printf, seqOperations } from '../../../fs/seq_file.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { net_hash_mix } from '../inet_hashtables.ts'
import {
  address4,
  address6,
  elementAt,
  ends,
  familyOf,
  hex,
  nextElement,
  pointerText,
  sock_i_ino,
  sock_i_uid,
  walked,
} from '../seq.ts'
import { udp_for_each, udp_hashslot, udp_slots } from './table.ts'

const FILE = 'net/ipv4/udp.c'
/** Lines of udp are as long as this, filled up with blanks. */
const WIDTH = 127

const udp_seq_start = kfunc(FILE, function udp_seq_start(k, m: seq_file, pos: bigint): bigint {
  const family = familyOf(k, m, udp6_seq_show)
  const socks: Va[] = []
  for (let i = 0; i < udp_slots(k); i++) {
    // slot i of the table: the hash takes ports with the mix of the namespace
    const slot = udp_hashslot(k, i - net_hash_mix(k))
    for (const sk of udp_for_each(k, slot, 'node'))
      if (sk.__sk_common.skc_family === family) socks.push(sk.$va)
  }
  walked(k).set(m.$va, socks)
  return elementAt(k, m, pos)
})
const udp_seq_next = kfunc(FILE, function udp_seq_next(k, m: seq_file, _v: bigint): bigint {
  return nextElement(k, m)
})
const udp_seq_stop = kfunc(FILE, function udp_seq_stop(k, m: seq_file, _v: bigint): void {
  walked(k).delete(m.$va)
})

/** @see net/ipv4/udp.c:udp4_format_sock */
function line(k: Kernel, va: Va, address: (k: Kernel, at: Va) => string): string {
  const sk = k.ref('sock', va)
  const common = sk.__sk_common
  const bucket = (common.skc_num + net_hash_mix(k)) & (udp_slots(k) - 1)
  const sent = Math.max(sk.sk_wmem_alloc.refs.counter - 1, 0)
  const received = Math.max(sk.sk_backlog.rmem_alloc.counter - k.ref('udp_sock', sk).forward_deficit, 0)
  return [
    `${String(bucket).padStart(5)}: ${ends(k, sk, address)}`,
    hex(common.skc_state, 2),
    `${hex(sent, 8)}:${hex(received, 8)}`,
    '00:00000000 00000000',
    String(sock_i_uid(k, sk)).padStart(5),
    '       0',
    sock_i_ino(k, sk),
    common.skc_refcnt.refs.counter,
    pointerText(k, va),
    sk.sk_drops.counter,
  ].join(' ')
}

const HEADER4 =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops'
const HEADER6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops'

export const udp4_seq_show = kfunc(FILE, function udp4_seq_show(k, m: seq_file, v: bigint): number {
  const text = v === 1n ? HEADER4 : line(k, toVa(v, k.mem.wordSize), address4)
  seq_printf(k, m, `${text.padEnd(WIDTH)}\n`)
  return 0
})
export const udp6_seq_show = kfunc(
  'net/ipv6/udp.c',
  function udp6_seq_show(k, m: seq_file, v: bigint): number {
    seq_printf(k, m, `${v === 1n ? HEADER6 : line(k, toVa(v, k.mem.wordSize), address6)}\n`)
    return 0
  },
)

/** @see net/ipv4/udp.c:udp4_proc_init */
export function udp4_proc_init(k: Kernel): void {
  for (const [name, ops, show] of [
    ['udp', 'udp_seq_ops', udp4_seq_show],
    ['udp6', 'udp6_seq_ops', udp6_seq_show],
  ] as const) {
    seqOperations(k, k.global(ops, 'seq_operations'), udp_seq_start, udp_seq_next, udp_seq_stop, show)
    proc_create_seq_private(k, name, 0o444, proc_net(k), ops)
  }
}
