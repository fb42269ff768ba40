/** The end of a connection socket. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { SOCK_DEAD } from '../../../../abi/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sk_prot, sock_set_flag } from '../../../include/net/sock.ts'
import { sk_stream_kill_queues } from '../../core/stream.ts'
import { percpu_counter_add, sock_put } from '../../core/sock/alloc.ts'
import { tcp_orphan_count_dec, tcp_orphan_count_inc } from '../tcp/orphan.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'

/**
 * Nobody owns the sock any more and its state is CLOSE: give back what it holds and the last references.
 * @see net/ipv4/inet_connection_sock.c:inet_csk_destroy_sock
 */
export const inet_csk_destroy_sock = kfunc(FILE, function inet_csk_destroy_sock(k, sk: sock): void {
  k.indirect<(k: Kernel, sk: sock) => void>(sk_prot(sk).destroy)(k, sk)
  sk_stream_kill_queues(k, sk)
  tcp_orphan_count_dec(k)
  sock_put(k, sk)
})

/** A child that goes before it was ever whole. @see inet_csk_prepare_for_destroy_sock */
const inet_csk_prepare_for_destroy_sock = kfunc(
  FILE,
  function inet_csk_prepare_for_destroy_sock(k, sk: sock): void {
    sock_set_flag(k, sk, SOCK_DEAD)
    tcp_orphan_count_inc(k)
  },
)

/** Ready a fresh clone for tcp_done(). @see net/ipv4/inet_connection_sock.c:inet_csk_prepare_forced_close */
export const inet_csk_prepare_forced_close = kfunc(
  FILE,
  function inet_csk_prepare_forced_close(k, sk: sock): void {
    sock_put(k, sk)
    inet_csk_prepare_for_destroy_sock(k, sk)
    sk.sk_num = 0
  },
)

/** One sock of the protocol fewer. @see include/net/sock.h:sk_sockets_allocated_dec */
export function sk_sockets_allocated_add(k: Kernel, sk: sock, n: number): void {
  const counter = sk_prot(sk).sockets_allocated
  if (counter !== null) percpu_counter_add(k, counter.$va, n)
}
