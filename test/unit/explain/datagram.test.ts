/** What explain, net and files say of sockets without a handshake, and of those no process has. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { crash, recordedTarget, recordedText } from '../../support/recorded.ts'

const zoo = recordedText(readFileSync(new URL('../../real/fidelity-datagrams.yaml', import.meta.url), 'utf8'))

test.each([
  [0, 'UNIX socket, unnamed, peer'],
  [1, '1 waiting in its queue'],
  [2, 'UNIX socket, named /run/zoo-dgram.sock, no peer'],
  [3, 'listen(): connections wait in sk_receive_queue'],
  [4, 'bind(): udp_v4_get_port() took port 7701'],
  [5, 'first send or connect(): udp_v4_get_port() chose port'],
])('descriptor %i: %s', async (fd, text) => {
  expect((await crash(zoo, `explain --task 178 --fd ${fd}`)).replace(/\n\s+/g, ' ')).toContain(text)
})

test('net and files name them as they do a real process’s', async () => {
  const net = await crash(zoo, 'net -s 178')
  expect(net.match(/(UNIX|INET6?):\w+/g)).toEqual([
    'UNIX:STREAM',
    'UNIX:STREAM',
    'UNIX:DGRAM',
    'UNIX:STREAM',
    'INET:DGRAM',
    'INET:DGRAM',
    'INET6:DGRAM',
  ])
  const files = await crash(zoo, 'files 178')
  expect(files.match(/SOCK \S+/g)).toEqual([
    'SOCK UNIX-STREAM',
    'SOCK UNIX-STREAM',
    'SOCK UNIX',
    'SOCK UNIX-STREAM',
    'SOCK UDP',
    'SOCK UDP',
    'SOCK UDPv6',
  ])
})

test('--all has UDP’s socks too', async () => {
  const text = await crash(zoo, 'explain --all')
  expect(text).toMatch(/ UDP {12}0\.0\.0\.0:7701/)
  expect(text).toMatch(/ UDP connected {2}127\.0\.0\.1:\d+ +127\.0\.0\.1:7701/)
})

test('a listener of the kernel’s own: said first, and how that is known', async () => {
  const dump = recordedTarget('tcp-sock-listen', 'listening')
  const [, row = ''] = (await crash(dump, 'explain --all')).split('\n')
  const text = await crash(dump, `explain --sock ${row.split(' ')[0] ?? ''}`)
  expect(text).toMatch(/^the kernel's own listener on 127\.0\.0\.1:60000/)
  expect(text).toContain('socket->file is NULL')
})
