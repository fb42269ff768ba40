/** A machine with processes that talk TCP over the loopback, and a look at the socks they make. */

import type { inet_request_sock, sock, socket, task_struct, tcp_sock } from '../../src/btf/vmlinux.ts'
import { AF_INET, SOCK_STREAM } from '../../src/abi/socket.ts'
import type { BootOptions } from '../../src/linux/boot.ts'
import { tty_init } from '../../src/linux/drivers/tty/pty.ts'
import { prepare_namespace } from '../../src/linux/fs/mounts.ts'
import { rest_init } from '../../src/linux/init/rest_init.ts'
import { find_task_by_vpid } from '../../src/linux/kernel/pid.ts'
import { inet_rsk, tcp_sk } from '../../src/linux/include/net/casts.ts'
import { deref } from '../../src/linux/deref.ts'
import { e1000_probe } from '../../src/linux/drivers/net/e1000/e1000_main.ts'
import { in_aton } from '../../src/linux/net/ipv4/devinet.ts'
import { Host } from '../../src/linux/net/wire/host.ts'
import { addr } from '../../src/base/addr.ts'
import { kernelFunctions } from '../../src/linux/kfunc.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { sockOfNode, tables } from '../../src/linux/net/ipv4/inet_hashtables.ts'
import { hlist_nulls_for_each } from '../../src/structures/hlist_nulls.ts'
import { startInit, spawn } from '../../src/userland/init.ts'
import type { Process, Program } from '../../src/userland/process.ts'
import { sockaddrIn } from '../../src/userland/ncat/calls.ts'
import { bootedMachine } from './machine.ts'

export function tcpMachine(options: Partial<BootOptions> = {}): Kernel {
  const k = bootedMachine(options)
  if (find_task_by_vpid(k, 1) === null) {
    tty_init(k)
    prepare_namespace(k)
    rest_init(k)
  }
  startInit(k)
  return k
}

/** Start a program as a process of its own; it runs when the machine does. */
export function run(k: Kernel, program: Program, cpu = 0): task_struct {
  const image = { path: '/usr/bin/test', argv: ['test'], envp: [], vszKb: 2000, rssKb: 400 }
  return spawn(k, { image, program, cpu })
}

/** A listening socket. @returns its descriptor */
export function* listener(
  p: Process,
  port: number,
  backlog = 10,
  host = '127.0.0.1',
): Generator<unknown, number> {
  const fd = yield* p.must('socket', AF_INET, SOCK_STREAM, 0)
  yield* p.must('setsockopt', fd, 1, 2, p.data(Uint8Array.of(1, 0, 0, 0)), 4)
  yield* p.must('bind', fd, p.data(sockaddrIn(host, port)), 16)
  yield* p.must('listen', fd, backlog)
  return fd
}

/** A socket connecting to 127.0.0.1. @returns its descriptor and connect()'s result */
export function* connect(
  p: Process,
  port: number,
  host = '127.0.0.1',
): Generator<unknown, { fd: number; result: number }> {
  const fd = yield* p.must('socket', AF_INET, SOCK_STREAM, 0)
  const result = yield* p.syscall('connect', fd, p.data(sockaddrIn(host, port)), 16)
  return { fd, result }
}

/** The sock behind a descriptor of a task. */
export function sockOf(k: Kernel, task: task_struct, fd: number): sock {
  const file = k.mem.pointer(k.mem.pointer(deref(deref(task.files).fdt).$vaOf('fd')) + 8 * fd)
  const socket: socket = k.ref('socket', k.ref('file', file).private_data)
  return deref(socket.sk)
}

export const tcpOf = (k: Kernel, sk: sock): tcp_sock => tcp_sk(k, sk)
export const requestOf = (k: Kernel, sk: sock): inet_request_sock => inet_rsk(k, sk)

/** Everything in the established table: socks, requests, stubs. */
export function ehash(k: Kernel): sock[] {
  const t = tables(k)
  const all: sock[] = []
  for (let slot = 0; slot <= t.ehashMask; slot++) {
    for (const node of hlist_nulls_for_each(k.mem, t.ehash + slot * 8)) all.push(sockOfNode(k, node))
  }
  return all
}

/** One more card, `eth${net}`, and a host on its wire. @param net also tells their hardware addresses from others' */
export function cardWithHost(
  k: Kernel,
  net: number,
  { card, ...host }: { card: string; name: string; address: string; delayNs: number },
): Host {
  const mac = (last: number): Uint8Array => Uint8Array.of(0x02, 0, 0, 0, net, last)
  const device = `eth${net}`
  e1000_probe(k, { name: device, mac: mac(1), address: in_aton(card), prefix: 24, irqCpu: 0 })
  return new Host(k, { ...host, mac: mac(2), device, silent: false, seed: 1 })
}

/** The machine with a card 192.168.56.1 and a host 192.168.56.101 on its wire. */
export function wiredMachine(options: Partial<BootOptions> = {}): { k: Kernel; host: Host } {
  const k = tcpMachine(options)
  // the card's driver is a module; its text need not be mapped to be called
  for (const f of kernelFunctions) {
    if (f.kfunc.module !== 'e1000' || k.textIfAny(f.kfunc) !== undefined) continue
    k.placeText(f, addr(0xffffffffc0400000n + BigInt(f.kfunc.id * 256)))
  }
  const host = cardWithHost(k, 0, { card: '192.168.56.1', name: 'peer', address: '192.168.56.101', delayNs: 100_000 }) // prettier-ignore
  return { k, host }
}
