/** IPv6 socks in TCP's tables. */

import type { sock } from '../../../btf/vmlinux.ts'
import { TCP_CLOSE } from '../../../abi/tcp_states.ts'
import { kfunc } from '../../kfunc.ts'
import { __inet_hash } from '../ipv4/inet_hashtables.ts'

/**
 * A listener joins the listening table, where its IPv6 address and port put it.
 * @returns 0
 * @see net/ipv6/inet6_hashtables.c:inet6_hash
 */
export const inet6_hash = kfunc('net/ipv6/inet6_hashtables.c', function inet6_hash(k, sk: sock): number {
  return sk.sk_state === TCP_CLOSE ? 0 : __inet_hash(k, sk, null)
})
