import { expect, test } from 'vitest'
import { ipv4_text, ipv6_full, ipv6_text } from '../../../src/helpers/inet-address.ts'

test.each([
  [0x0100007f, '127.0.0.1'],
  [0x6538a8c0, '192.168.56.101'],
  [0, '0.0.0.0'],
  [0xffffffff, '255.255.255.255'],
])('ipv4_text: %i is %s', (be32, text) => {
  expect(ipv4_text(be32)).toBe(text)
})

const groups = (text: string): number[] => text.split(':').map((group) => parseInt(group, 16))

test.each([
  ['0:0:0:0:0:0:0:0', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['fe80:0:0:0:3c07:fff:fecb:9f99', 'fe80::3c07:fff:fecb:9f99'],
  ['fd00:56:0:0:0:0:0:101', 'fd00:56::101'],
  ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
  ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
  ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ['0:0:0:0:0:ffff:c0a8:3801', '::ffff:192.168.56.1'],
  ['0:0:0:0:0:0:c0a8:3801', '::192.168.56.1'],
])('ipv6_text: %s is %s', (full, text) => {
  expect(ipv6_text(groups(full))).toBe(text)
  expect(ipv6_full(groups(full))).toBe(full)
})
