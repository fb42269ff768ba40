/** Changes of a socket's state, where tracing looks on. */

import type { sock } from '../../../../btf/vmlinux.ts'
import { kfunc } from '../../../kfunc.ts'

const FILE = 'net/ipv4/af_inet.c'

/** @see net/ipv4/af_inet.c:inet_sk_set_state */
export const inet_sk_set_state = kfunc(FILE, function inet_sk_set_state(_k, sk: sock, state: number): void {
  sk.sk_state = state
})

/** As {@link inet_sk_set_state}, for a state that lockless readers look for. */
export const inet_sk_state_store = kfunc(
  FILE,
  function inet_sk_state_store(_k, sk: sock, newstate: number): void {
    sk.sk_state = newstate
  },
)
