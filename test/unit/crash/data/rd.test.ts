import { beforeEach, expect, test } from 'vitest'
import P from '../../../../commands/p.ts'
import Px from '../../../../commands/px.ts'
import Rd from '../../../../commands/rd.ts'
import Sym from '../../../../commands/sym.ts'
import type { Va } from '../../../../src/base/addr.ts'
import { DataTarget } from '../../../support/data-target.ts'

let t: DataTarget
let banner: Va

beforeEach(() => {
  t = new DataTarget()
  banner = t.lonely(4096)
  t.mem.write(banner, Buffer.from('Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc)\n\0'))
  t.global('linux_banner', banner)
  t.global('linux_proc_banner', banner + 128)
  t.global('nr_threads', banner + 256)
  t.mem.setU32(banner + 256, 104)
  t.global('schedule', banner + 512, 'T')
  t.global('schedule_tail', banner + 640, 'T')
  t.mem.setPointer(banner + 264, banner + 512)
  t.mem.setPointer(banner + 272, banner + 520)
})

const rd = (...words: string[]): Promise<string> => t.run(Rd, 'rd', ...words)
const body = (text: string): string => text.replace(/^ *[0-9a-f]+: {2}/gm, '')

test.each([
  [['linux_banner'], '65762078756e694c                    Linux ve\n'],
  [['-8', 'linux_banner', '4'], '4c 69 6e 75                                       Linu\n'],
  [['-16', 'linux_banner', '2'], '694c 756e                                 Linu\n'],
  [['-32', 'linux_banner', '5'], '756e694c 65762078 6f697372 2e36206e   Linux version 6.\n2d302e31                              1.0-\n'],
  [['-x', 'linux_banner', '2'], '65762078756e694c 2e36206e6f697372 \n'],
  [['-32', '-N', 'linux_banner', '1'], '4c696e75                              Linu\n'],
  [['-d', 'nr_threads'], '            104 \n'],
  [['-D', 'nr_threads'], '                 104 \n'],
  [['-8', '-o', '6', 'linux_banner', '7'], '76 65 72 73 69 6f 6e                              version\n'],
  [['-R', '-8', '-o', '4', 'linux_banner', '5'], '4c 69 6e 75 78                                    Linux\n'],
  [['-a', 'linux_banner', '5'], 'Linux\n'],
  [['-s', 'nr_threads', '3'], '0000000000000068 schedule         \nschedule+8       \n'],
] as [string[], string][])('rd %j', async (words, text) => {
  expect(body(await rd(...words))).toBe(text)
}) // prettier-ignore

test('-a without a count ends at the first byte that is no text', async () => {
  expect(body(await rd('-a', 'linux_banner'))).toBe(
    'Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org\n) (gcc)',
  )
})

test('-e: up to there', async () => {
  const end = BigInt.asUintN(64, BigInt(banner + 16)).toString(16)
  expect(body(await rd('linux_banner', '-e', end))).toMatch(/^\w{16} \w{16} {3}Linux version 6\.\n$/)
})

test('memory that ends: the line as far as it goes, then why', async () => {
  const last = BigInt.asUintN(64, BigInt(banner + 4096 - 8)).toString(16)
  const next = BigInt.asUintN(64, BigInt(banner + 4096)).toString(16)
  expect(await rd(last, '4')).toBe(
    `${last}:  0000000000000000 rd: invalid kernel virtual address: ${next}  type: "64-bit KVADDR"\n`,
  )
})

test.each([
  [['nosuch'], /^symbol not found: nosuch\npossible alternatives:\n {2}\(none found\)\n$/],
  [['linux_banner', '-e', 'x+1'], /^rd: invalid input: "x\+1"\n$/],
  [['linux_banner', '-e', '10'], /^rd: invalid ending address: 10\n$/],
  [['linux_banner', 'zz'], /^rd: invalid input: "zz"\n$/],
  [['linux_banner', 'ffffffffff'], /^rd: too much to show/],
  [['-m', '0'], /^rd: -m option only applies to xen architecture\n$/],
  [[], /^Usage:\n {2}rd /],
  [['-z', '0'], /^Usage:/],
])('rd %j is refused', async (words, text) => {
  expect(await rd(...words)).toMatch(text)
})

test('rows', async () => {
  const { rows } = await t.report(Rd, 'rd', '-32', 'linux_banner', '1')
  expect(rows).toEqual([{ address: BigInt.asUintN(64, BigInt(banner)), units: [0x756e694c], text: 'Linu' }])
})

test('sym: by name, by address, by text, neighbours', async () => {
  const sym = (...words: string[]): Promise<string> => t.run(Sym, 'sym', ...words)
  const at = (offset: number): string => BigInt.asUintN(64, BigInt(banner + offset)).toString(16)
  expect(await sym('linux_banner')).toBe(`${at(0)} (D) linux_banner\n`)
  expect(await sym('schedule')).toBe(`${at(512)} (T) schedule \n`)
  expect(await sym(at(520))).toBe(`${at(520)} (T) schedule+8 \n`)
  expect(await sym('-q', '_banner')).toBe(`${at(0)} (D) linux_banner\n${at(128)} (D) linux_proc_banner\n`)
  expect(await sym('-n', 'schedule')).toBe(`${at(512)} (T) schedule \n${at(640)} (T) schedule_tail \n`)
  expect(await sym('sched')).toContain(`possible alternatives:\n  ${at(512)} (T) schedule\n`)
  expect(await sym()).toMatch(/^Usage:/)
})

test('p: values are numbered, names lead, $ goes back', async () => {
  const p = (...words: string[]): Promise<string> => t.run(P, 'p', ...words)
  expect(await p('nr_threads')).toBe('nr_threads = $1 = 104\n')
  expect(await p('nr_threads', '+', '1')).toBe('$2 = 105\n')
  expect(await p('-x', '$')).toBe('$3 = 0x69\n')
  expect(await p('$1', '*', '2')).toBe('$4 = 208\n')
  expect(await t.run(Px, 'px', 'nr_threads')).toBe('nr_threads = $5 = 0x68\n')
  expect(await p('linux_banner')).toMatch(/^linux_banner = \$6 = "Linux version .*\(gcc\)\\n/)
  expect(await p('nosuch')).toBe('p: gdb request failed: p nosuch\n')
  expect(await p('1', '+')).toMatch(/^p: gdb request failed: p 1 \+ \(A syntax error/)
  expect(await p()).toMatch(/^Usage:/)
})
