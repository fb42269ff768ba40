import { beforeEach, expect, test } from 'vitest'
import { hex } from '../../../src/base/addr.ts'
import { htons } from '../../../src/base/u32.ts'
import type { StructRef } from '../../../src/btf/ref.ts'
import { taskSockets } from '../../../src/crash/net-sockets.ts'
import { FlatTarget } from '../../support/flat-target.ts'

let t: FlatTarget

beforeEach(() => {
  t = new FlatTarget()
})

function connected(sk: StructRef): void {
  const inet = sk.$cast('inet_sock')
  inet.$set('sk.__sk_common.skc_family', 2)
  inet.$set('sk.__sk_common.skc_state', 1)
  inet.$set('sk.__sk_common.skc_rcv_saddr', 0x0138a8c0)
  inet.$set('sk.__sk_common.skc_daddr', 0x6538a8c0)
  inet.$set('sk.__sk_common.skc_num', 10000)
  inet.$set('sk.__sk_common.skc_dport', htons(33266))
  inet.$set('inet_sport', htons(10000))
  inet.$set('sk.sk_type', 1)
  inet.$set('sk.sk_protocol', 6)
}

const show = (ref?: string) =>
  taskSockets(t.target, t.context, { whole: false, print: {}, ...(ref === undefined ? {} : { ref }) })
const lines = (text: string): string[] => text.trimEnd().split('\n').slice(1)

test('files, but no sockets', () => {
  t.open(0, 'x', t.inode(0o100644))
  expect(lines(show().text)).toEqual(['No open sockets.'])
})

test('a connection', () => {
  const { socket, sk } = t.openSocket(5)
  connected(sk)
  const { text, rows } = show()
  expect(lines(text)[1]).toBe(
    ` 5 ${hex(socket.$addr)} ${hex(sk.$addr)} INET:STREAM  192.168.56.1-10000 192.168.56.101-33266`,
  )
  expect(rows.sockets[0]).toMatchObject({
    fd: 5,
    family: 'INET',
    protocol: 6,
    state: 'ESTABLISHED',
    local: { addr: '192.168.56.1', port: 10000 },
    remote: { addr: '192.168.56.101', port: 33266 },
  })
})

test('a socket before accept() gave it a sock', () => {
  const { socket } = t.openSocket(5)
  socket.$set('sk', null)
  expect(show()).toMatchObject({ failed: false, rows: { sockets: [{ fd: 5, sock: 0n }] } })
})

test('a sock whose page is missing: the row names it, the next is complete', () => {
  const lost = t.openSocket(5)
  connected(t.openSocket(6).sk)
  t.mem.unmap(lost.sk.$va)
  const { text, failed } = show()
  expect(failed).toBe(true)
  expect(lines(text)[1]).toMatch(/<unmapped 0x[0-9a-f]+>$/)
  expect(lines(text)[2]).toContain('192.168.56.101-33266')
})

test('a reference: by descriptor, by address, nothing found', () => {
  const { sk } = t.openSocket(5)
  connected(sk)
  t.openSocket(6)
  expect(show('5').rows.sockets.map(({ fd }) => fd)).toEqual([5])
  expect(show(hex(sk.$addr)).rows.sockets.map(({ fd }) => fd)).toEqual([5])
  expect(show('7').text).toBe('')
})
