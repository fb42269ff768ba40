/** How sockets without a handshake came to be what they are: UDP and UNIX, and those of the kernel's own. */

import { toAddr } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { sock_common, unix_names } from '../helpers/sock.ts'
import type { Evidence, Stage } from './facts.ts'

/** Bits of `sk_userlocks`. @see include/net/sock.h:SOCK_BINDPORT_LOCK */
const BINDPORT_LOCK = 8
const LISTEN = 10
const ESTABLISHED = 1

/** @param sk `struct sock *` of UDP */
export function birthOfUdp(sk: StructRef): Stage[] {
  const skc = sock_common(sk)
  const port = Number(skc.$int('skc_num'))
  const stages: Stage[] = [
    {
      title: 'socket()',
      text: 'inet_create() made the sock without address or port; udp_init_sock() gave it reader_queue, from which programs read',
    },
  ]
  if (port === 0) return stages
  const chosen = (Number(sk.$int('sk_userlocks')) & BINDPORT_LOCK) !== 0
  stages.push({
    title: chosen ? 'bind()' : 'first send or connect()',
    text: `udp_v4_get_port() ${chosen ? 'took' : 'chose'} port ${port}: the sock is in udp_table twice, by its port and by its address and port, where an arriving datagram finds it`,
  })
  if (Number(skc.$int('skc_state')) === ESTABLISHED) {
    stages.push({
      title: 'connect()',
      text: 'ip4_datagram_connect() stored the peer, and the source address that the route there has; no packet was sent. Datagrams of others no longer reach it, and ICMP errors are its errors',
    })
  }
  return stages
}

/** @param sk `struct sock *` of AF_UNIX */
export function birthOfUnix(sk: StructRef): Stage[] {
  const state = Number(sock_common(sk).$int('skc_state'))
  const { name, peer } = unix_names(sk)
  const stages: Stage[] = [
    {
      title: 'socket()',
      text: 'unix_create1() made the sock and put it into the table of its network, by where it lies',
    },
  ]
  if (name !== '') {
    const how = name.startsWith('@')
      ? 'its abstract name is a key of that table and no file'
      : 'its path is an inode of type socket, by whose number it is found'
    stages.push({ title: 'bind()', text: `its name ${name}: ${how}` })
  }
  if (state === LISTEN) {
    const text =
      'connections wait in sk_receive_queue, each as a message of one byte whose sk is the other end'
    stages.push({ title: 'listen()', text })
  }
  if (peer !== null) {
    const text =
      'unix_sock.peer is the other end: what is written goes right into that one’s sk_receive_queue'
    stages.push({ title: 'socketpair() or connect()', text })
  }
  return stages
}

/** Is it a socket of the kernel's own? @param sk a full sock */
export const isKernelSock = (sk: StructRef): boolean =>
  sk.$has('sk_kern_sock') && Number(sk.$int('sk_kern_sock')) === 1

/** How one knows a socket that no process has. */
export function kernelEvidence(sk: StructRef): Evidence[] {
  if (!isKernelSock(sk)) return []
  const facts = [
    'sk_kern_sock is 1: the kernel made it for itself (sock_create_kern), and holds no reference to its network',
  ]
  const socket = sk.$ref('sk_socket')
  if (socket !== null && socket.$int('file') === 0n) {
    facts.push('socket->file is NULL: no descriptor leads to it, and no process owns it')
  }
  return facts.map((fact) => ({ fact, at: toAddr(sk.$va) }))
}
