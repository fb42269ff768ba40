/** `tcp_sock`: the kernel itself listens on 127.0.0.1:60000. No process has this socket, and no file. */

import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { sock_release } from '../linux/net/socket.ts'
import { listening } from './tcp_sock_common.ts'

const NAME = 'tcp_sock'
const FILE = 'tcp_sock.c'

const my_tcp_sock_init = kfunc(
  FILE,
  function* my_tcp_sock_init(k): Generator<unknown, number> {
    const sock = yield* listening(k)
    if (typeof sock === 'number') return sock
    k.mem.setPointer(moduleOf(k, NAME).sym('sock'), sock.$va)
    return 0
  },
  { module: NAME, locals: 16 },
)

const my_tcp_sock_exit = kfunc(
  FILE,
  function* my_tcp_sock_exit(k): Generator<unknown, void> {
    yield* sock_release(k, k.ref('socket', k.mem.pointer(moduleOf(k, NAME).sym('sock'))))
  },
  { module: NAME },
)

export const tcp_sock = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'SO2',
  description: 'Simple kernel TCP socket',
  imports: ['_printk', 'init_net', 'sock_create_kern', 'sock_release'],
  variables: [{ name: 'sock', size: 8 }],
  functions: [],
  init: my_tcp_sock_init,
  exit: my_tcp_sock_exit,
})
