/** `udp_sock`: the kernel sends one datagram from 127.0.0.1:60000 to 127.0.0.1:60001, its closing NUL included. */

import { htons } from '../base/u32.ts'
import { IPPROTO_UDP, LOOPBACK_BE } from '../abi/in.ts'
import { PF_INET, SOCK_DGRAM } from '../abi/socket.ts'
import type { socket } from '../btf/vmlinux.ts'
import { deref } from '../linux/deref.ts'
import type { Bind } from '../linux/include/net/proto_ops.ts'
import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { pr_alert } from '../linux/kernel/printk/printk.ts'
import { init_net } from '../linux/net/core/net_namespace.ts'
import { fill_sockaddr_in, kernel_sendmsg, sock_create_kern, sock_release } from '../linux/net/socket.ts'
import { sleepable } from '../linux/sleepable.ts'

const NAME = 'udp_sock'
const FILE = 'udp_sock.c'
const MY_UDP_LOCAL_PORT = 60000
const MY_UDP_REMOTE_PORT = 60001
const MY_TEST_MESSAGE = 'kernelsocket\n'
const SOCKADDR_LEN = 16

/** @returns bytes sent or a negative errno */
const my_udp_msgsend = kfunc(
  FILE,
  function* my_udp_msgsend(k, s: socket): Generator<unknown, number> {
    const remote = fill_sockaddr_in(k.local('sockaddr_in'), LOOPBACK_BE, htons(MY_UDP_REMOTE_PORT))
    const len = MY_TEST_MESSAGE.length + 1
    const msg = k.local('msghdr')
    const iov = k.local('iovec')
    k.mem.setPointer(iov.$vaOf('iov_base'), moduleOf(k, NAME).string(MY_TEST_MESSAGE))
    k.mem.setWord(iov.$vaOf('iov_len'), BigInt(len))
    msg.msg_name = remote.$addr
    msg.msg_namelen = SOCKADDR_LEN
    return yield* kernel_sendmsg(k, s, msg, iov.$va, 1, len)
  },
  { module: NAME, locals: 16 + 104 + 16 },
)

const my_udp_sock_init = kfunc(
  FILE,
  function* my_udp_sock_init(k): Generator<unknown, number> {
    const sock = yield* sock_create_kern(k, init_net(k), PF_INET, SOCK_DGRAM, IPPROTO_UDP)
    if (typeof sock === 'number') {
      pr_alert(k, "can't create socket")
      return sock
    }
    k.mem.setPointer(moduleOf(k, NAME).sym('sock'), sock.$va)
    const addr = fill_sockaddr_in(k.local('sockaddr_in'), LOOPBACK_BE, htons(MY_UDP_LOCAL_PORT))
    let err = yield* sleepable(k.indirect<Bind>(deref(sock.ops).bind)(k, sock, addr, SOCKADDR_LEN))
    if (err < 0) pr_alert(k, "can't bind socket")
    else {
      err = yield* my_udp_msgsend(k, sock)
      if (err >= 0) return 0
      pr_alert(k, "can't send message")
    }
    yield* sock_release(k, sock)
    return err
  },
  { module: NAME, locals: 16 },
)

const my_udp_sock_exit = kfunc(
  FILE,
  function* my_udp_sock_exit(k): Generator<unknown, void> {
    yield* sock_release(k, k.ref('socket', k.mem.pointer(moduleOf(k, NAME).sym('sock'))))
  },
  { module: NAME },
)

export const udp_sock = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'SO2',
  description: 'Simple kernel UDP socket',
  imports: ['_printk', 'init_net', 'sock_create_kern', 'sock_release', 'kernel_sendmsg'],
  strings: [MY_TEST_MESSAGE],
  variables: [{ name: 'sock', size: 8 }],
  functions: [my_udp_msgsend],
  init: my_udp_sock_init,
  exit: my_udp_sock_exit,
})
