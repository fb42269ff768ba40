/** The walk of a demonstration: which commands lead from a task to its connection's addresses in this dump. */

import { walkDescriptor } from '../explain/walk.ts'
import { task_table } from '../helpers/tasks.ts'
import { LookupError } from '../base/errors.ts'
import type { Target } from '../target/target.ts'

/** A command of the walk, and what it is there to show. */
export interface DemoStep {
  readonly heading: string
  readonly command: string
}

const hex = (n: bigint): string => n.toString(16)

/**
 * @param comm name of the task
 * @param fd   its descriptor that is a connection
 * @throws LookupError when there is no such task or socket
 */
export function demoWalk(target: Target, comm: string, fd: number): DemoStep[] {
  const context = task_table(target).tasks.find((context) => context.comm === comm)
  if (context === undefined) throw new LookupError('member', `task ${comm}`)
  const { file, socket, sk } = walkDescriptor(context.task, fd)
  const at = hex(sk?.$addr ?? 0n)
  const members = ['skc_daddr', 'skc_rcv_saddr', 'skc_num', 'skc_dport', 'skc_state']
  return [
    { heading: 'the server among the tasks', command: `ps ${comm}` },
    { heading: `its open files: ${fd} is the connection`, command: `files ${context.pid}` },
    { heading: 'from the file to its socket', command: `struct file.private_data ${hex(file.$addr)}` },
    { heading: 'from the socket to its sock', command: `struct socket.sk ${hex(socket.$addr)}` },
    {
      heading: 'both ends: daddr and dport are the peer, in network byte order',
      command: `struct sock_common.${members.join(',')} ${at}`,
    },
    { heading: 'saddr is our own address', command: `struct inet_sock.inet_saddr,inet_sport ${at}` },
    { heading: 'what the module had to say', command: 'log | grep recvmsg_block' },
    { heading: 'and why', command: `explain --task ${context.pid} --fd ${fd}` },
  ]
}
