import { expect, test } from 'vitest'
import { hexdump } from '../../../src/render/hexdump.ts'

const bytes = Buffer.from('Linux version 6.1.0\n', 'latin1')

test.each([
  [8, '        1000:  65762078756e694c 2e36206e6f697372   Linux version 6.\n'],
  [4, '        1000:  756e694c 65762078 6f697372 2e36206e   Linux version 6.\n        1010:  0a302e31                              1.0.\n'], // prettier-ignore
  [1, '        1000:  4c 69 6e 75 78 20 76 65 72 73 69 6f 6e 20 36 2e   Linux version 6.\n        1010:  31 2e 30 0a                                       1.0.\n'], // prettier-ignore
] as const)('units of %i: the text of a short line stands where the others do', (unit, text) => {
  expect(hexdump(bytes.subarray(0, unit === 8 ? 16 : 20), 0x1000n, { unit, addressDigits: 12 })).toBe(text)
})

test('network order, and no text', () => {
  const options = { unit: 4, addressDigits: 1, bigEndian: true, bare: true } as const
  expect(hexdump(bytes.subarray(0, 4), 16n, options)).toBe('10:  4c696e75 \n')
})

test('nothing of nothing', () => {
  expect(hexdump(new Uint8Array(0), 0n, { unit: 8, addressDigits: 16 })).toBe('')
})
