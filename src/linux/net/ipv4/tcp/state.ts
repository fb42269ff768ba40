/** The state of a connection, and its end. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { SOCK_BINDPORT_LOCK, SOCK_DEAD } from '../../../../abi/sock.ts'
import { SHUTDOWN_MASK } from '../../../../abi/socket.ts'
import {
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_ESTABLISHED,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
} from '../../../../abi/tcp_states.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { sk_state_change } from '../../core/sock.ts'
import { inet_csk } from '../../../include/net/casts.ts'
import { sk_prot, sock_flag } from '../../../include/net/sock.ts'
import { TCP_INC_STATS } from '../../../include/net/tcp.ts'
import { inet_sk_state_store } from '../af_inet/state.ts'
import { inet_put_port } from '../inet_hashtables.ts'
import { inet_csk_clear_xmit_timers, inet_csk_destroy_sock } from '../inet_connection_sock.ts'

const FILE = 'net/ipv4/tcp.c'

/**
 * Change state; a sock that closes leaves the tables, and its port unless bind() chose it.
 * @see net/ipv4/tcp.c:tcp_set_state
 */
export const tcp_set_state = kfunc(FILE, function tcp_set_state(k, sk: sock, state: number): void {
  const old = sk.sk_state
  switch (state) {
    case TCP_CLOSE:
      if (old === TCP_CLOSE_WAIT || old === TCP_ESTABLISHED) TCP_INC_STATS(k, sk, 'TCP_MIB_ESTABRESETS')
      k.indirect<(k: Kernel, sk: sock) => void>(sk_prot(sk).unhash)(k, sk)
      if (inet_csk(k, sk).icsk_bind_hash !== null && (sk.sk_userlocks & SOCK_BINDPORT_LOCK) === 0)
        inet_put_port(k, sk)
      break
    case TCP_ESTABLISHED:
      if (old !== TCP_ESTABLISHED) TCP_INC_STATS(k, sk, 'TCP_MIB_CURRESTAB')
      break
  }
  // only now: who finds the sock in a table must not see it closed
  inet_sk_state_store(k, sk, state)
})

/** The connection is over, for whatever reason. @see net/ipv4/tcp.c:tcp_done */
export const tcp_done = kfunc(FILE, function tcp_done(k, sk: sock): void {
  if (sk.sk_state === TCP_SYN_SENT || sk.sk_state === TCP_SYN_RECV)
    TCP_INC_STATS(k, sk, 'TCP_MIB_ATTEMPTFAILS')
  tcp_set_state(k, sk, TCP_CLOSE)
  inet_csk_clear_xmit_timers(k, sk)
  sk.sk_shutdown = SHUTDOWN_MASK
  if (!sock_flag(sk, SOCK_DEAD)) sk_state_change(k, sk)
  else inet_csk_destroy_sock(k, sk)
})
