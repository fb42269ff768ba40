/** What the names of an expectation's expression stand for: the task, file, socket and sock it speaks of. */

import { LookupError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import { CValue } from '../btf/value.ts'
import { parseTypeName } from '../helpers/expression.ts'
import { fget, file_inode } from '../helpers/fs.ts'
import { sock_from_file, sock_kind } from '../helpers/sock.ts'
import { ehash_for_each, lhash2_for_each, tcp_row } from '../helpers/tcp.ts'
import { task_table } from '../helpers/tasks.ts'
import type { Target } from '../target/target.ts'
import type { Endpoint } from './fields.ts'
import type { Subject } from './grammar.ts'

export type Bindings = ReadonlyMap<string, CValue>

/**
 * @param pidOf the pid of a process by its name in the scenario
 * @throws LookupError when there is no such task, descriptor or sock in this memory
 */
export function bindingsOf(target: Target, subject: Subject, pidOf: (name: string) => number): Bindings {
  if ('listener' in subject) return bind(target, sockBindings(findListener(target, subject.listener)))
  if ('peer' in subject) return bind(target, sockBindings(findPeer(target, subject.peer)))
  const pid = pidOf(subject.process)
  const task = task_table(target).byPid(pid)[0]?.task
  if (task === undefined) throw new LookupError('member', `task ${pid} (${subject.process})`)
  const found: [string, string, StructRef][] = [['task', 'task_struct', task]]
  if (subject.fd !== undefined) found.push(...fileBindings(task, subject.fd))
  return bind(target, found)
}

type Named = [name: string, struct: string, at: StructRef]

function fileBindings(task: StructRef, fd: number): Named[] {
  const file = fget(task, fd)
  if (file === undefined) throw new LookupError('member', `open descriptor ${fd}`)
  const found: Named[] = [['file', 'file', file]]
  const inode = file_inode(file)
  if (inode !== null) found.push(['inode', 'inode', inode])
  const socket = sock_from_file(file)
  if (socket === undefined) return found
  found.push(['socket', 'socket', socket])
  const sk = socket.$ref('sk')
  return sk === null ? found : [...found, ...sockBindings(sk)]
}

/** A sock under the names the kernel's own casts have. */
function sockBindings(sk: StructRef): Named[] {
  const kind = sock_kind(sk)
  const common: Named = ['skc', 'sock_common', sk]
  if (kind === 'request') {
    return [
      common,
      ['req', 'request_sock', sk],
      ['ireq', 'inet_request_sock', sk],
      ['treq', 'tcp_request_sock', sk],
    ]
  }
  if (kind === 'timewait')
    return [common, ['tw', 'inet_timewait_sock', sk], ['tcptw', 'tcp_timewait_sock', sk]]
  return [
    common,
    ['sk', 'sock', sk],
    ['inet', 'inet_sock', sk],
    ['icsk', 'inet_connection_sock', sk],
    ['tp', 'tcp_sock', sk],
  ]
}

function bind(target: Target, named: readonly Named[]): Bindings {
  const bindings = new Map<string, CValue>()
  for (const [name, struct, { $addr }] of named) {
    const type = parseTypeName(target, `struct ${struct} *`)
    if (type !== undefined) bindings.set(name, CValue.ofInteger(target.types, target.mem, type, $addr))
  }
  return bindings
}

const sameEnd = (end: { addr: string; port: number }, wanted: Endpoint): boolean =>
  end.addr === wanted.ip && end.port === wanted.port

function findListener(target: Target, wanted: Endpoint): StructRef {
  for (const sk of lhash2_for_each(target)) if (sameEnd(tcp_row(sk).local, wanted)) return sk
  throw new LookupError('member', `listener at ${wanted.ip}:${wanted.port}`)
}

function findPeer(target: Target, wanted: Endpoint): StructRef {
  for (const { sk } of ehash_for_each(target)) if (sameEnd(tcp_row(sk).remote, wanted)) return sk
  throw new LookupError('member', `sock connected to ${wanted.ip}:${wanted.port} in the hash table`)
}
