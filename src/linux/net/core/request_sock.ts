/** A listener's queue of requests. */

import type { request_sock_queue } from '../../../btf/vmlinux.ts'
import { kfunc } from '../../kfunc.ts'

/**
 * An empty queue; the Fast Open part is empty too.
 * @see net/core/request_sock.c:reqsk_queue_alloc
 */
export const reqsk_queue_alloc = kfunc(
  'net/core/request_sock.c',
  function reqsk_queue_alloc(_k, queue: request_sock_queue): void {
    const { fastopenq } = queue
    fastopenq.rskq_rst_head = null
    fastopenq.rskq_rst_tail = null
    fastopenq.qlen = 0
    queue.rskq_accept_head = null
  },
)
