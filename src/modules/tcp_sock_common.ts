/** What both forms of `tcp_sock` do: a TCP socket of the kernel's own, bound to 127.0.0.1:60000 and listening. */

import { htons } from '../base/u32.ts'
import { IPPROTO_TCP, LOOPBACK_BE } from '../abi/in.ts'
import { PF_INET, SOCK_STREAM } from '../abi/socket.ts'
import type { socket } from '../btf/vmlinux.ts'
import type { Kernel } from '../linux/kernel.ts'
import { pr_alert } from '../linux/kernel/printk/printk.ts'
import { init_net } from '../linux/net/core/net_namespace.ts'
import { fill_sockaddr_in, sock_create_kern, sock_release } from '../linux/net/socket.ts'
import type { Bind, Listen } from '../linux/include/net/proto_ops.ts'
import { deref } from '../linux/deref.ts'
import { sleepable } from '../linux/sleepable.ts'

const MY_TCP_PORT = 60000
const LISTEN_BACKLOG = 5
export const SOCKADDR_LEN = 16

/** Runs in the module's init function, whose frame has room for an address. @returns the socket or a negative errno */
export function* listening(k: Kernel): Generator<unknown, socket | number> {
  const sock = yield* sock_create_kern(k, init_net(k), PF_INET, SOCK_STREAM, IPPROTO_TCP)
  if (typeof sock === 'number') {
    pr_alert(k, "can't create socket")
    return sock
  }
  const addr = fill_sockaddr_in(k.local('sockaddr_in'), LOOPBACK_BE, htons(MY_TCP_PORT))
  const ops = deref(sock.ops)
  let err = yield* sleepable(k.indirect<Bind>(ops.bind)(k, sock, addr, SOCKADDR_LEN))
  if (err < 0) pr_alert(k, "can't bind socket")
  else {
    err = yield* sleepable(k.indirect<Listen>(ops.listen)(k, sock, LISTEN_BACKLOG))
    if (err >= 0) return sock
    pr_alert(k, "can't listen on socket")
  }
  yield* sock_release(k, sock)
  return err
}
