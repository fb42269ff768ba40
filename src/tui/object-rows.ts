/** The lists besides tasks: open files, sockets, log, modules. Each row is read when it is drawn. */

import { hex } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { file_row, for_each_file, type OpenFile } from '../helpers/fs.ts'
import { findSymbolVa } from '../helpers/kernel.ts'
import {
  for_each_module,
  module_name,
  module_refcount,
  module_size,
  module_state,
  module_taints,
  module_users,
} from '../helpers/module.ts'
import { log_records, type LogRecord } from '../helpers/printk.ts'
import { inet_end_text, sock_from_file } from '../helpers/sock.ts'
import { ehash_for_each, lhash2_for_each, tcp_row, udp_for_each } from '../helpers/tcp.ts'
import type { Target } from '../target/target.ts'
import { decoded, span, type Line } from './cell.ts'
import { faultText } from './fault-text.ts'
import type { Row, RowSource } from './row.ts'
import { attempt, subjectOf } from './subject.ts'

/** A row whose text may turn out unreadable. */
export function careful(key: string, read: () => Omit<Row, 'key'>): Row {
  try {
    return { key, ...read() }
  } catch (error) {
    return { key, spans: [span(faultText(error), 'error')], subject: undefined, command: undefined }
  }
}

/** @param task  `struct task_struct *`; undefined: no task is selected, so there are none */
export function fileRows(target: Target, task: StructRef | undefined): RowSource<OpenFile> {
  return {
    entries: () => (task === undefined ? [] : for_each_file(task)),
    row: (open) =>
      careful(String(open.fd), () => ({
        spans: fileSpans(target, open),
        subject: subjectOf(open.file, 'file'),
        command: `struct file ${hex(open.file.$addr)}`,
      })),
  }
}

function fileSpans(target: Target, open: OpenFile): Line {
  const { fd, type, path, unreadable } = file_row(target, open)
  const what = unreadable === undefined ? decoded(path) : faultText(unreadable)
  const socket = type === 'SOCK' ? attempt(() => socketText(open.file)) : undefined
  return [
    span(`${String(fd).padStart(4)} `),
    span(`${type} `, 'dim'),
    span(socket ?? what, unreadable === undefined ? 'text' : 'error'),
  ]
}

/** Both ends of a socket file, where it has some. */
function socketText(file: StructRef): string | undefined {
  const sk = sock_from_file(file)?.$ref('sk')
  if (sk === undefined || sk === null) return undefined
  const { local, remote, state } = tcp_row(sk)
  if (local.addr === '') return undefined
  return remote.port === 0
    ? `${inet_end_text(local)} ${state}`
    : `${inet_end_text(local)} ${inet_end_text(remote)}`
}

export interface SocketEntry {
  readonly protocol: 'TCP' | 'UDP'
  readonly sk: StructRef
}

export function socketRows(target: Target): RowSource<SocketEntry> {
  return {
    *entries() {
      if (findSymbolVa(target, 'tcp_hashinfo') !== undefined) {
        for (const sk of lhash2_for_each(target, undefined, () => undefined)) yield { protocol: 'TCP', sk }
        for (const { sk } of ehash_for_each(target, undefined, () => undefined)) yield { protocol: 'TCP', sk }
      }
      if (findSymbolVa(target, 'udp_table') === undefined) return
      for (const sk of udp_for_each(target, () => undefined)) yield { protocol: 'UDP', sk }
    },
    row: ({ protocol, sk }) =>
      careful(hex(sk.$addr), () => ({
        spans: socketSpans(protocol, sk),
        subject: subjectOf(sk, sk.$type.name),
        command: `struct ${sk.$type.name} ${hex(sk.$addr)}`,
      })),
  }
}

function socketSpans(protocol: string, sk: StructRef): Line {
  const { kind, state, local, remote } = tcp_row(sk)
  const shown = protocol === 'TCP' ? (kind === 'request' ? 'NEW_SYN_RECV' : state) : ''
  return [
    span(`${protocol} `, 'dim'),
    span(shown.padEnd(13), 'name'),
    span(`${inet_end_text(local).padEnd(22)} ${inet_end_text(remote).padEnd(22)} `, 'text'),
    span(hex(sk.$addr), 'address'),
  ]
}

const NSEC_PER_SEC = 1_000_000_000n

/** `[   12.345678] text`, line feeds shown as blanks. */
export function logRows(target: Target): RowSource<LogRecord> {
  return {
    entries: () => log_records(target),
    row: (record) => ({
      key: record.seq.toString(),
      spans: [
        span(`[${timeText(record.ts_nsec).padStart(12)}] `, 'dim'),
        span(decoded(record.text).replaceAll('\n', ' '), record.level <= 3 ? 'error' : 'plain'),
      ],
      subject: undefined,
      command: 'log',
    }),
  }
}

/** Seconds with six decimals. */
export function timeText(ns: bigint): string {
  const micro = ((ns % NSEC_PER_SEC) / 1000n).toString().padStart(6, '0')
  return `${ns / NSEC_PER_SEC}.${micro}`
}

export function moduleRows(target: Target): RowSource<StructRef> {
  return {
    entries: () => for_each_module(target),
    row: (mod) =>
      careful(hex(mod.$addr), () => {
        const users = attempt(() => module_users(mod)) ?? []
        const taints = attempt(() => module_taints(target, mod)) ?? ''
        const used = users.length === 0 ? '' : ` by ${users.join(',')}`
        return {
          spans: [
            span(decoded(module_name(mod)).padEnd(24), 'name'),
            span(` ${String(module_size(mod)).padStart(8)} ${module_state(mod).padEnd(9)} `),
            span(hex(mod.$addr), 'address'),
            span(` used ${module_refcount(mod)}${used}${taints === '' ? '' : `  taints ${taints}`}`, 'dim'),
          ],
          subject: subjectOf(mod, 'module'),
          command: `struct module ${hex(mod.$addr)}`,
        }
      }),
  }
}
