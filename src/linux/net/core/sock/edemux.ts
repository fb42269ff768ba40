/** A packet that holds a reference to any kind of sock. */

import type { sk_buff, sock } from '../../../../btf/vmlinux.ts'
import { TCP_NEW_SYN_RECV, TCP_TIME_WAIT } from '../../../../abi/tcp_states.ts'
import { kfunc } from '../../../kfunc.ts'
import { refcount_dec_and_test } from '../../../lib/refcount.ts'
import { inet_reqsk, inet_twsk } from '../../../include/net/casts.ts'
import { reqsk_free } from '../../../include/net/request_sock.ts'
import { inet_twsk_put } from '../../ipv4/inet_timewait_sock.ts'
import { sk_free } from './alloc.ts'

/** Drop a reference to what may be a sock, a request or a TIME_WAIT stub. @see net/ipv4/inet_hashtables.c:sock_gen_put */
export const sock_gen_put = kfunc('net/ipv4/inet_hashtables.c', function sock_gen_put(k, sk: sock): void {
  if (sk.sk_state === TCP_TIME_WAIT) {
    inet_twsk_put(k, inet_twsk(k, sk))
    return
  }
  if (!refcount_dec_and_test(sk.sk_refcnt)) return
  if (sk.sk_state === TCP_NEW_SYN_RECV) reqsk_free(k, inet_reqsk(k, sk))
  else sk_free(k, sk)
})

/** @see net/ipv4/inet_hashtables.c:sock_edemux */
export const sock_edemux = kfunc('net/ipv4/inet_hashtables.c', function sock_edemux(k, skb: sk_buff): void {
  const { sk } = skb
  if (sk !== null) sock_gen_put(k, sk)
})
