/**
 * `tcp_sock_accept`: as `tcp_sock`, and waits in its init function for one connection, whose other end it names. Until
 * somebody connects, insmod sleeps and the module is Loading.
 *
 * Should accepting fail, the socket made for the connection is never released: the labels of the error path are in the
 * wrong order, as in the exercise this module is an answer to.
 */

import { ntohs } from '../base/u32.ts'
import { IPPROTO_TCP } from '../abi/in.ts'
import { PF_INET, SOCK_STREAM } from '../abi/socket.ts'
import { deref } from '../linux/deref.ts'
import type { Accept, Getname } from '../linux/include/net/proto_ops.ts'
import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { pr_alert } from '../linux/kernel/printk/printk.ts'
import { sock_create_lite, sock_release } from '../linux/net/socket.ts'
import { sleepable } from '../linux/sleepable.ts'
import { listening } from './tcp_sock_common.ts'
import { dotted } from './text.ts'

const NAME = 'tcp_sock_accept'
const FILE = 'tcp_sock.c'
const PEER = 1

const my_tcp_sock_init = kfunc(
  FILE,
  function* my_tcp_sock_init(k): Generator<unknown, number> {
    const me = moduleOf(k, NAME)
    const sock = yield* listening(k)
    if (typeof sock === 'number') return sock
    k.mem.setPointer(me.sym('sock'), sock.$va)
    const newsock = yield* sock_create_lite(k, PF_INET, SOCK_STREAM, IPPROTO_TCP)
    if (typeof newsock === 'number') {
      pr_alert(k, "can't create new socket")
      yield* sock_release(k, sock)
      return newsock
    }
    k.mem.setPointer(me.sym('new_sock'), newsock.$va)
    newsock.ops = sock.ops
    const ops = deref(sock.ops)
    const err = yield* sleepable(k.indirect<Accept>(ops.accept)(k, sock, newsock, 0, true))
    if (err < 0) {
      pr_alert(k, "can't accept new connection")
      yield* sock_release(k, sock)
      return err
    }
    const raddr = k.local('sockaddr_in')
    const len = k.indirect<Getname>(ops.getname)(k, newsock, raddr, PEER)
    if (len < 0) {
      pr_alert(k, "can't find peer name")
      yield* sock_release(k, newsock)
      yield* sock_release(k, sock)
      return len
    }
    pr_alert(k, `connection established to ${dotted(raddr.sin_addr.s_addr)}:${ntohs(raddr.sin_port)}`)
    return 0
  },
  { module: NAME, locals: 32 },
)

const my_tcp_sock_exit = kfunc(
  FILE,
  function* my_tcp_sock_exit(k): Generator<unknown, void> {
    const me = moduleOf(k, NAME)
    for (const name of ['new_sock', 'sock'])
      yield* sock_release(k, k.ref('socket', k.mem.pointer(me.sym(name))))
  },
  { module: NAME },
)

export const tcp_sock_accept = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'SO2',
  description: 'Simple kernel TCP socket',
  imports: ['_printk', 'init_net', 'sock_create_kern', 'sock_create_lite', 'sock_release'],
  variables: [
    { name: 'sock', size: 8 },
    { name: 'new_sock', size: 8 },
  ],
  functions: [],
  init: my_tcp_sock_init,
  exit: my_tcp_sock_exit,
})
