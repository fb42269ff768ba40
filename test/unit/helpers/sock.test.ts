import { beforeEach, describe, expect, test } from 'vitest'
import type { StructRef } from '../../../src/btf/ref.ts'
import { htons } from '../../../src/base/u32.ts'
import {
  inet_addresses,
  inet_end_text,
  SOCK_INODE,
  sock_kind,
  sock_owner,
  sock_summary,
  SOCKET_I,
  tcp_state_name,
  unix_names,
} from '../../../src/helpers/sock.ts'
import { FlatKernel } from '../../support/flat-kernel.ts'

let k: FlatKernel

beforeEach(() => {
  k = new FlatKernel()
})

/** 192.168.56.1:10000 - 192.168.56.101:33266 in whatever struct begins with a sock_common. */
function connection(struct: string, state: number): StructRef {
  const sk = k.make(struct)
  const skc = sk.$cast('sock_common')
  skc.$set('skc_family', 2)
  skc.$set('skc_state', state)
  skc.$set('skc_rcv_saddr', 0x0138a8c0)
  skc.$set('skc_daddr', 0x6538a8c0)
  skc.$set('skc_num', 10000)
  skc.$set('skc_dport', htons(33266))
  return sk
}

test.each([
  [1, 'full'],
  [10, 'full'],
  [6, 'timewait'],
  [12, 'request'],
])('sock_kind: state %i is %s', (state, kind) => {
  expect(sock_kind(connection('sock_common', state))).toBe(kind)
})

test('kind and addresses of a request need no byte beyond its sock_common', () => {
  const size = k.types.sizeof('sock_common')
  // the sock_common ends with its page; the rest of a full sock would lie on a page that is missing
  const page = k.lonely(8192)
  k.mem.unmap(page + 4096)
  const at = page + 4096 - size
  k.mem.copy(at, connection('sock_common', 12).$va, size)
  const req = k.types.ref('request_sock', k.mem, at) as StructRef
  expect(sock_kind(req)).toBe('request')
  expect(inet_addresses(req)?.remote).toEqual({ addr: '192.168.56.101', port: 33266 })
})

test.each(['sock', 'tcp_sock', 'request_sock', 'inet_timewait_sock', 'sock_common'])(
  'inet_addresses: a %s has them in the same place, ports in host order',
  (struct) => {
    expect(inet_addresses(connection(struct, 1))).toEqual({
      family: 2,
      local: { addr: '192.168.56.1', port: 10000 },
      remote: { addr: '192.168.56.101', port: 33266 },
    })
  },
)

test('inet_addresses: IPv6, and nothing for other families', () => {
  const sk = connection('sock', 1)
  const skc = sk.$cast('sock_common')
  skc.$set('skc_family', 10)
  k.mem.setU8(skc.$vaOf('skc_v6_daddr') + 15, 1)
  expect(inet_addresses(sk)?.remote).toEqual({ addr: '::1', port: 33266 })
  expect(inet_end_text({ addr: '::1', port: 5 })).toBe('[::1]:5')
  expect(inet_end_text({ addr: '127.0.0.1', port: 5 })).toBe('127.0.0.1:5')
  skc.$set('skc_family', 1)
  expect(inet_addresses(sk)).toBeUndefined()
})

test('socket, inode and sock lead to each other', () => {
  const alloc = k.make('socket_alloc')
  const inode = alloc.$ref('vfs_inode') as StructRef
  const socket = SOCKET_I(inode)
  expect(socket.$va).toBe(alloc.$va)
  expect(inode.$va - socket.$va).toBe(0x80)
  expect(SOCK_INODE(socket).$va).toBe(inode.$va)
  const sk: StructRef = k.make('sock')
  expect(sock_owner(sk)).toBeUndefined()
  sk.$set('sk_socket', socket)
  inode.$set('i_ino', 4711n)
  expect(sock_owner(sk)).toMatchObject({ file: null, ino: 4711n })
})

describe('sock_summary', () => {
  test('counts what waits in the receive queue', () => {
    const sk = connection('tcp_sock', 1)
    const queue = sk.$cast('sock').$ref('sk_receive_queue') as StructRef
    k.emptyList(queue.$va)
    for (const length of [5, 21]) {
      const skb: StructRef = k.make('sk_buff')
      skb.$set('len', length)
      k.append(queue.$va, skb.$va)
    }
    queue.$set('qlen', 2)
    sk.$cast('sock').$set('sk_type', 1)
    expect(sock_summary(sk)).toMatchObject({
      family: 'INET',
      type: 'STREAM',
      state: 'ESTABLISHED',
      receiveBytes: 26,
      receiveBuffers: 2,
    })
  })

  test('a receive queue that runs in a circle is named, not followed for ever', () => {
    const sk = connection('tcp_sock', 1)
    const queue = sk.$cast('sock').$ref('sk_receive_queue') as StructRef
    const a: StructRef = k.make('sk_buff')
    const b: StructRef = k.make('sk_buff')
    k.mem.setPointer(queue.$va, a.$va)
    k.mem.setPointer(a.$va, b.$va)
    k.mem.setPointer(b.$va, a.$va)
    expect(() => sock_summary(sk)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

test.each([
  [1, 'ESTABLISHED'],
  [6, 'TIME_WAIT'],
  [12, 'NEW_SYN_RECV'],
  [0, '0'],
  [99, '99'],
])('tcp_state_name: %i is %s', (state, name) => {
  expect(tcp_state_name(state)).toBe(name)
})

describe('unix_names', () => {
  const named = (path: string, length: number): StructRef => {
    const address: StructRef = k.types.ref('unix_address', k.mem, k.room(256))
    address.$set('len', length)
    k.mem.setU16(address.$vaOf('name'), 1)
    k.mem.write(address.$vaOf('name') + 2, Buffer.from(path, 'latin1'))
    const u: StructRef = k.make('unix_sock')
    u.$set('addr', address)
    return u
  }

  test('a path ends at its NUL, an abstract name where its length says', () => {
    expect(unix_names(named('/run/x.sock\0', 14)).name).toBe('/run/x.sock')
    expect(unix_names(named('\0zoo-abstract', 15)).name).toBe('@zoo-abstract')
  })

  test('not bound, not connected', () => {
    expect(unix_names(k.make('unix_sock'))).toEqual({ name: '', peer: null, backlog: 0 })
  })

  test('a length that no address has is not followed', () => {
    expect(unix_names(named('/a', -1)).name).toBe('')
    expect(unix_names(named('/a', 0x7fffffff)).name).toBe('/a')
  })
})
