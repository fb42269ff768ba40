import { expect, test, vi } from 'vitest'
import { takeOwnOptions } from '../../../src/crash/command-line.ts'
import { UsageError, FaultError } from '../../../src/base/errors.ts'
import { failureOf } from '../../../src/crash/failure.ts'
import { toJsonText } from '../../../src/crash/json.ts'
import { Misuse } from '../../../src/crash/misuse.ts'
import { withoutControls } from '../../../src/crash/output.ts'

test('own options are taken out wherever they stand', () => {
  const own = takeOwnOptions(['-p', '--core', 'd', '1', '--at=s', '--json', '--namelist', 'n', '--no-cache'])
  const given = { core: 'd', at: 's', namelist: 'n', cache: false, json: true }
  expect(own).toEqual({ ...given, verbose: false, help: false, words: ['-p', '1'] })
  expect(takeOwnOptions(['--verbose'])).toMatchObject({ verbose: true, words: [] })
})

test('COREDRILL_NO_CACHE is --no-cache', () => {
  vi.stubEnv('COREDRILL_NO_CACHE', '1')
  expect(takeOwnOptions([]).cache).toBe(false)
  vi.stubEnv('COREDRILL_NO_CACHE', '')
  expect(takeOwnOptions([]).cache).toBe(true)
  vi.unstubAllEnvs()
})

test('two dashes: what follows is the command’s', () => {
  expect(takeOwnOptions(['--core=d', '--', '--json'])).toMatchObject({ json: false, words: ['--', '--json'] })
})

test.each([[['--core']], [['--at=']]])('%j is a misuse', (argv) => {
  expect(() => takeOwnOptions(argv)).toThrow(Misuse)
})

test.each([
  ['a misuse', new Misuse(), 'Usage:\n  ps [-k]\nEnter "help ps" for details.\n', 2],
  [
    'a misuse with its reason',
    new Misuse('why'),
    'ps: why\nUsage:\n  ps [-k]\nEnter "help ps" for details.\n',
    2,
  ],
  ['a wrong argument', new UsageError('x', 'invalid: x'), 'ps: invalid: x\n', 2],
  ['a fault', new FaultError(16n, 8, 'unmapped'), 'ps: cannot read 8 bytes at 10: unmapped\n', 1],
  ['a mistake of ours', new TypeError('a\n b'), 'ps: internal error: a b\n', 1],
])('%s: its text and status', (_title, error, text, status) => {
  expect(failureOf('ps', 'ps [-k]', error)).toEqual({ text, status })
})

test('JSON: exact integers, addresses as hex, bytes, maps, references', () => {
  const rows = {
    big: 0xffffffff81000000n,
    negative: -1n,
    reference: { $addr: 16n },
    bytes: Uint8Array.of(1, 255),
    map: new Map([['a', 1]]),
    nan: NaN,
  }
  expect(JSON.parse(toJsonText(rows))).toEqual({
    big: '0xffffffff81000000',
    negative: '0xffffffffffffffff',
    reference: '0x10',
    bytes: '01ff',
    map: { a: 1 },
    nan: null,
  })
})

test('JSON: nothing is null', () => {
  expect(toJsonText(undefined)).toBe('null\n')
})

test('control characters are shown, newline and tab kept', () => {
  expect(withoutControls('a\x1b[2Jb\tc\n\x9b\x7f')).toBe('a\\x1b[2Jb\tc\n\\x9b\\x7f')
})
