/**
 * The log as readers have it: syslog(2). Records that are finished, oldest first, each line with its level and time.
 *
 * @see kernel/printk/printk.c:do_syslog, kernel/printk/printk_ringbuffer.c:prb_read
 * @remarks reading one message at a time (SYSLOG_ACTION_READ) is not simulated: nobody waits for messages
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { pt_regs } from '../../../btf/vmlinux.ts'
import { CAP_SYSLOG } from '../../../abi/capability.ts'
import { EFAULT, EINVAL, EPERM } from '../../../abi/errno.ts'
import { desc_finalized, LOG_BUF_SHIFT, NO_LPOS } from '../../../abi/printk.ts'
import { syscall_arg, syscall_int } from '../../arch/x86/entry/common.ts'
import { deref } from '../../deref.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { copy_to_user } from '../../lib/usercopy.ts'
import { security_capable } from '../../security/security/task.ts'

const FILE = 'kernel/printk/printk.c'
const SYSLOG_ACTION_READ_ALL = 3
const SYSLOG_ACTION_READ_CLEAR = 4
const SYSLOG_ACTION_CLEAR = 5
const SYSLOG_ACTION_SIZE_BUFFER = 10

/** One message. */
interface Message {
  readonly seq: bigint
  readonly ns: bigint
  readonly prefix: number
  readonly text: string
}

/** Finished messages in the ring. */
function* messages(k: Kernel): Generator<Message> {
  const rb = k.ref('printk_ringbuffer', k.mem.pointer(toVa(k.sym('prb'), k.mem.wordSize)))
  const { desc_ring: ring } = rb
  const count = 1n << BigInt(ring.count_bits)
  const idBits = k.mem.wordSize * 8 - 2
  const mask = (1n << BigInt(idBits)) - 1n
  const descs = toVa(ring.$int('descs'), k.mem.wordSize)
  const infos = toVa(ring.$int('infos'), k.mem.wordSize)
  const head = ring.$int('head_id.counter') & mask
  for (let id = ring.$int('tail_id.counter') & mask, left = count; left > 0n; left--, id = (id + 1n) & mask) {
    const index = Number(id % count)
    const desc = k.ref('prb_desc', descs + index * k.types.sizeof('prb_desc'))
    const state = BigInt.asUintN(k.mem.wordSize * 8, desc.$int('state_var.counter'))
    if ((state & mask) === id && state >> BigInt(idBits) === desc_finalized) {
      const info = k.ref('printk_info', infos + index * k.types.sizeof('printk_info'))
      const at = textOf(
        k,
        rb.text_data_ring.$va,
        desc.$int('text_blk_lpos.begin'),
        desc.$int('text_blk_lpos.next'),
      )
      const bytes = at === 0 ? new Uint8Array(0) : k.mem.read(at, info.text_len)
      yield {
        seq: info.seq,
        ns: info.ts_nsec,
        prefix: (info.facility << 3) | info.level,
        text: Buffer.from(bytes).toString('latin1'),
      }
    }
    if (id === head) return
  }
}

/** Where a record's text is; 0 when it has none. A block that would not fit lies at the ring's start. */
function textOf(k: Kernel, dataRing: Va, begin: bigint, next: bigint): Va {
  if ((begin & 1n) !== 0n || begin === NO_LPOS) return 0
  const data = k.ref('prb_data_ring', dataRing)
  const bits = BigInt(data.size_bits)
  const mask = (1n << bits) - 1n
  const wrapped = begin >> bits !== next >> bits && (next & mask) !== 0n
  return toVa(data.$int('data'), k.mem.wordSize) + (wrapped ? 0 : Number(begin & mask)) + k.mem.wordSize
}

/** `<level>[ seconds.micros] line`, for every line of a message. @see kernel/printk/printk.c:record_print_text */
function printed({ ns, prefix, text }: Message): string {
  const seconds = String(ns / 1_000_000_000n).padStart(5)
  const micros = String((ns % 1_000_000_000n) / 1000n).padStart(6, '0')
  return text
    .split('\n')
    .map((line) => `<${prefix}>[${seconds}.${micros}] ${line}\n`)
    .join('')
}

/** What a console at the machine's level shows of the messages from a number on. @see kernel/printk/printk.c:suppress_message_printing */
export function consoleText(k: Kernel, from: bigint): { readonly text: string; readonly next: bigint } {
  const loglevel = k.mem.u32(toVa(k.sym('console_printk'), k.mem.wordSize))
  let text = ''
  let next = from
  for (const message of messages(k)) {
    if (message.seq < from) continue
    next = message.seq + 1n
    if ((message.prefix & 7) < loglevel) text += printed(message).replace(/^<\d+>/gm, '')
  }
  return { text, next }
}

/** Where the number of the first message after the last clearing is: `clear_seq`, a latch of two copies. */
const clearSeq = (k: Kernel): Va => toVa(k.sym('clear_seq'), k.mem.wordSize) + (k.mem.wordSize === 8 ? 8 : 4)

/** As many of the last messages as fit. @returns bytes copied, or -errno @see kernel/printk/printk.c:syslog_print_all */
const syslog_print_all = kfunc(
  FILE,
  function syslog_print_all(k, buf: bigint, size: number, clear: boolean): number {
    const from = k.mem.u64(clearSeq(k))
    const all = [...messages(k)].filter(({ seq }) => seq >= from)
    const texts = all.map((message) => Buffer.from(printed(message), 'latin1'))
    let total = texts.reduce((n, { length }) => n + length, 0)
    while (total > size) total -= texts.shift()?.length ?? total
    if (copy_to_user(k, buf, Buffer.concat(texts), total) > 0) return -EFAULT
    if (clear) do_syslog_clear(k)
    return total
  },
)

function do_syslog_clear(k: Kernel): void {
  const last = [...messages(k)].at(-1)
  for (const copy of [0, 8]) k.mem.setU64(clearSeq(k) + copy, last === undefined ? 0n : last.seq + 1n)
}

/** @see kernel/printk/printk.c:check_syslog_permissions */
function mayRead(k: Kernel, action: number): boolean {
  const open = action === SYSLOG_ACTION_READ_ALL || action === SYSLOG_ACTION_SIZE_BUFFER
  const restricted =
    k.symbols.has('dmesg_restrict') && k.mem.u32(toVa(k.sym('dmesg_restrict'), k.mem.wordSize)) !== 0
  if (open && !restricted) return true
  const cred = deref(k.current.cred)
  return security_capable(k, cred, cred.user_ns, CAP_SYSLOG) === 0
}

/** @see kernel/printk/printk.c:do_syslog */
export const do_syslog = kfunc(
  FILE,
  function do_syslog(k, action: number, buf: bigint, size: number): number {
    if (!mayRead(k, action)) return -EPERM
    switch (action) {
      case SYSLOG_ACTION_READ_ALL:
      case SYSLOG_ACTION_READ_CLEAR:
        if (buf === 0n || size < 0) return -EINVAL
        return syslog_print_all(k, buf, size, action === SYSLOG_ACTION_READ_CLEAR)
      case SYSLOG_ACTION_CLEAR:
        do_syslog_clear(k)
        return 0
      case SYSLOG_ACTION_SIZE_BUFFER:
        return 1 << LOG_BUF_SHIFT
      default:
        return -EINVAL
    }
  },
)

/** syslog(type, buf, len) @see kernel/printk/printk.c */
export const __x64_sys_syslog = kfunc(FILE, function __x64_sys_syslog(k, regs: pt_regs): number {
  return do_syslog(k, syscall_int(regs, 0), syscall_arg(regs, 1), syscall_int(regs, 2))
})
