/**
 * The wait queue entries of one select or poll: on the caller's stack as long as they fit, then in pages; and what
 * wakes it.
 *
 * @see fs/select.c
 */

import type {
  file,
  poll_table_entry,
  poll_table_struct,
  poll_wqueues,
  wait_queue_entry,
  wait_queue_head,
} from '../../../btf/vmlinux.ts'
import { EINTR } from '../../../abi/errno.ts'
import { PAGE_SIZE } from '../../../abi/page.ts'
import { TASK_RUNNING } from '../../../abi/sched.ts'
import { INIT_LIST_HEAD } from '../../../structures/list.ts'
import type { Va } from '../../../base/addr.ts'
import { deref } from '../../deref.ts'
import { init_poll_funcptr } from '../../include/linux/poll.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { default_wake_function } from '../../kernel/sched/core.ts'
import { add_wait_queue, init_waitqueue_func_entry, remove_wait_queue } from '../../kernel/sched/wait.ts'
import { WAIT_ENTRY_BYTES } from '../../kernel/sched/wait_event.ts'
import { schedule_hrtimeout_range_clock } from '../../kernel/time/hrtimer.ts'
import { alloc_pages, free_pages, page_address, virt_to_pfn } from '../../mm/page_alloc.ts'
import { fput, get_file } from '../file_table.ts'

const FILE = 'fs/select.c'

/** Bytes of a `struct poll_wqueues`, for `locals`. */
export const POLL_WQUEUES_BYTES = 624

/** `struct poll_table_page { struct poll_table_page *next; struct poll_table_entry *entry; entries[] }` */
const pageEntries = (k: Kernel, table: Va): Va => table + 2 * k.mem.wordSize

/** @see fs/select.c:poll_initwait */
export const poll_initwait = kfunc(FILE, function poll_initwait(k, pwq: poll_wqueues) {
  init_poll_funcptr(pwq.pt, k.text(__pollwait))
  pwq.polling_task = k.current
  pwq.triggered = 0
  pwq.error = 0
  pwq.table = null
  pwq.inline_index = 0
})

/** @see fs/select.c:poll_get_entry */
function poll_get_entry(k: Kernel, pwq: poll_wqueues): poll_table_entry {
  const inline = pwq.inline_entries
  if (pwq.inline_index < inline.length) {
    const entry = inline.ref(pwq.inline_index) as poll_table_entry
    pwq.inline_index = pwq.inline_index + 1
    return entry
  }
  const size = k.types.sizeof('poll_table_entry')
  let table = k.mem.pointer(pwq.$vaOf('table'))
  if (table === 0 || k.mem.pointer(table + k.mem.wordSize) + 2 * size > table + PAGE_SIZE) {
    const page = page_address(k, alloc_pages(k, 0))
    k.mem.fill(page, 0, PAGE_SIZE)
    k.mem.setPointer(page, table)
    k.mem.setPointer(page + k.mem.wordSize, pageEntries(k, page))
    k.mem.setPointer(pwq.$vaOf('table'), page)
    table = page
  }
  const at = k.mem.pointer(table + k.mem.wordSize)
  k.mem.setPointer(table + k.mem.wordSize, at + size)
  return k.ref('poll_table_entry', at)
}

/** A file's poll operation names a queue: wait on it too. @see fs/select.c:__pollwait */
export const __pollwait = kfunc(
  FILE,
  function __pollwait(k, filp: file, address: wait_queue_head, p: poll_table_struct) {
    const pwq = k.ref('poll_wqueues', p.$va - k.types.offsetof('poll_wqueues', 'pt'))
    const entry = poll_get_entry(k, pwq)
    entry.filp = get_file(filp)
    entry.wait_address = address
    entry.key = p._key
    init_waitqueue_func_entry(entry.wait, k.text(pollwake))
    entry.wait.private = pwq.$addr
    add_wait_queue(k, address, entry.wait)
  },
)

function free_poll_entry(k: Kernel, entry: poll_table_entry): void {
  remove_wait_queue(k, deref(entry.wait_address), entry.wait)
  fput(k, deref(entry.filp))
}

/** Leave every queue. @see fs/select.c:poll_freewait */
export const poll_freewait = kfunc(FILE, function poll_freewait(k, pwq: poll_wqueues) {
  for (let i = 0; i < pwq.inline_index; i++) free_poll_entry(k, pwq.inline_entries.ref(i) as poll_table_entry)
  const size = k.types.sizeof('poll_table_entry')
  for (let table = k.mem.pointer(pwq.$vaOf('table')); table !== 0;) {
    const first = pageEntries(k, table)
    for (let at = k.mem.pointer(table + k.mem.wordSize) - size; at >= first; at -= size) {
      free_poll_entry(k, k.ref('poll_table_entry', at))
    }
    const next = k.mem.pointer(table)
    free_pages(k, virt_to_pfn(k, table), 0)
    table = next
  }
})

/** @see fs/select.c:__pollwake */
function __pollwake(k: Kernel, wait: wait_queue_entry, mode: number, sync: number, key: number): number {
  const pwq = k.ref('poll_wqueues', wait.private)
  const dummy = k.local('wait_queue_entry')
  dummy.private = deref(pwq.polling_task).$addr
  dummy.func = k.text(default_wake_function)
  INIT_LIST_HEAD(k.mem, dummy.entry.$va)
  pwq.triggered = 1
  return default_wake_function(k, dummy, mode, sync, key)
}

/** The function of every entry: wakes only for events that were asked for. @see fs/select.c:pollwake */
export const pollwake = kfunc(
  FILE,
  function pollwake(k, wait: wait_queue_entry, mode: number, sync: number, key: number): number {
    const entry = k.ref('poll_table_entry', wait.$va - k.types.offsetof('poll_table_entry', 'wait'))
    if (key !== 0 && (key & entry.key) === 0) return 0
    return __pollwake(k, wait, mode, sync, key)
  },
  { locals: WAIT_ENTRY_BYTES },
)

/**
 * Sleep unless something woke us since the last look.
 * @param expires nanoseconds since boot; null is for ever
 * @returns 0 when the time came, -EINTR otherwise
 * @see fs/select.c:poll_schedule_timeout
 */
export function* poll_schedule_timeout(
  k: Kernel,
  pwq: poll_wqueues,
  state: number,
  expires: bigint | null,
  slack: bigint,
): Generator<unknown, number> {
  let timeCame = false
  k.current.__state = state
  if (pwq.triggered === 0) timeCame = yield* schedule_hrtimeout_range_clock(k, expires ?? undefined, slack)
  k.current.__state = TASK_RUNNING
  pwq.triggered = 0
  return timeCame ? 0 : -EINTR
}
