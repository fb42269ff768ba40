/** The objects of a memory that have a name of their own, whatever their address: what a golden record keeps of it. */

import { FaultError, ValidationError } from '../base/errors.ts'
import type { StructRef } from '../btf/ref.ts'
import type { Type } from '../btf/type.ts'
import { for_each_file } from '../helpers/fs.ts'
import { for_each_module, module_name } from '../helpers/module.ts'
import { for_each_net, for_each_netdev, netdev_name } from '../helpers/net.ts'
import { inet_addresses, inet_end_text, sock_from_file, sock_kind } from '../helpers/sock.ts'
import { task_table } from '../helpers/tasks.ts'
import { ehash_for_each, lhash2_for_each } from '../helpers/tcp.ts'
import { task_mm } from '../helpers/task.ts'
import { bytesAt, type ObjectBytes } from '../explain/diff/objects.ts'
import type { Target } from '../target/target.ts'

export interface NamedObject extends ObjectBytes {
  /** `PID 501 "ncat" fd 4 sock`, `listener 0.0.0.0:31337`, `module fwnet`, `sys_call_table` */
  readonly name: string
  /** name of its struct; the declaration of a variable that is none */
  readonly typeName: string
}

/** Variables whose contents are worth telling apart by element. */
const VARIABLES = ['sys_call_table', 'ia32_sys_call_table', 'security_hook_heads', 'tcp_hashinfo', 'init_net']

/** Every object that can be named, each once; those that cannot be read are left out. */
export function namedObjects(target: Target): Map<string, NamedObject> {
  const found = new Map<string, NamedObject>()
  const known = new Set<number>()
  const add = (name: string, ref: StructRef | null | undefined): void => {
    if (ref === null || ref === undefined || known.has(ref.$va)) return
    known.add(ref.$va)
    const bytes = bytesAt(target, ref.$va, target.types.sizeof(ref.$type))
    if (bytes === undefined) return
    const unique = found.has(name) ? `${name} (${found.size})` : name
    found.set(unique, { name: unique, typeName: ref.$type.name, type: ref.$type, va: ref.$va, bytes })
  }
  for (const walk of [tasks, sockets, modules, devices]) forgiving(() => walk(target, add))
  for (const name of VARIABLES) {
    const type = target.symbols.has(name) ? target.typeOf(name) : undefined
    if (type !== undefined) addVariable(target, found, name, type)
  }
  return found
}

type Add = (name: string, ref: StructRef | null | undefined) => void

/** A list that is damaged gives what was found before the damage. */
function forgiving(walk: () => void): void {
  try {
    walk()
  } catch (error) {
    if (!(error instanceof FaultError || error instanceof ValidationError)) throw error
  }
}

function tasks(target: Target, add: Add): void {
  for (const { task, pid, comm } of task_table(target).tasks) {
    const mm = task_mm(task)
    if (mm === null) continue
    const who = `PID ${pid} "${comm}"`
    add(who, task)
    add(`${who} cred`, task.$ref('cred'))
    for (const { fd, file } of for_each_file(task)) {
      add(`${who} fd ${fd} file`, file)
      const socket = sock_from_file(file)
      add(`${who} fd ${fd} socket`, socket)
      const sk = socket?.$ref('sk')
      add(`${who} fd ${fd} sock`, sk == null ? undefined : fullSock(target, sk))
    }
  }
}

/** A sock by the struct its protocol keeps around it. */
function fullSock(target: Target, sk: StructRef): StructRef {
  const name = sock_kind(sk) === 'full' ? structOf(sk) : sock_kind(sk) === 'request' ? 'tcp_request_sock' : 'tcp_timewait_sock' // prettier-ignore
  return name === undefined ? sk : target.types.ref(name, target.mem, sk.$va)
}

/** @see net/ipv4/tcp_ipv4.c:tcp_prot (obj_size) */
function structOf(sk: StructRef): string | undefined {
  const family = Number(sk.$int('__sk_common.skc_family'))
  const protocol = Number(sk.$int('sk_protocol'))
  if (family === 1) return 'unix_sock'
  if (family !== 2 && family !== 10) return undefined
  const six = family === 10 ? '6' : ''
  return protocol === 6 ? `tcp${six}_sock` : protocol === 17 ? `udp${six}_sock` : undefined
}

/** Those no descriptor leads to: requests, children that wait, orphans, TIME_WAIT, the kernel's own. */
function sockets(target: Target, add: Add): void {
  for (const sk of lhash2_for_each(target)) add(`listener ${endsOf(sk)}`, fullSock(target, sk))
  for (const { sk } of ehash_for_each(target))
    add(`${sock_kind(sk)} sock ${endsOf(sk)}`, fullSock(target, sk))
}

function endsOf(sk: StructRef): string {
  const ends = inet_addresses(sk)
  return ends === undefined ? '' : `${inet_end_text(ends.local)} - ${inet_end_text(ends.remote)}`
}

function modules(target: Target, add: Add): void {
  for (const mod of for_each_module(target)) add(`module ${module_name(mod)}`, mod)
}

function devices(target: Target, add: Add): void {
  for (const net of for_each_net(target))
    for (const dev of for_each_netdev(net)) add(`net_device ${netdev_name(dev)}`, dev)
}

function addVariable(target: Target, found: Map<string, NamedObject>, name: string, type: Type): void {
  const va = target.symVa(name)
  const size = target.types.sizeof(type)
  const bytes = size > 0 && size <= 1 << 20 ? bytesAt(target, va, size) : undefined
  if (bytes !== undefined) found.set(name, { name, typeName: name, type, va, bytes })
}
