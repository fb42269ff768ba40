import { describe, expect, test } from 'vitest'
import { decode, pushed } from '../../../src/helpers/x86-length.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

describe('lengths of instructions', () => {
  test.each([
    ['nop', '90', 1, 0],
    ['endbr64', 'f3 0f 1e fa', 4, 0],
    ['nopl 0x0(%rax,%rax,1)', '0f 1f 44 00 00', 5, 0],
    ['push %rbp', '55', 1, 8],
    ['push %r15', '41 57', 2, 8],
    ['push $-1', '6a ff', 2, 8],
    ['push imm32', '68 00 01 00 00', 5, 8],
    ['push 0x8(%rax)', 'ff 70 08', 3, 8],
    ['pop %r12', '41 5c', 2, -8],
    ['sub $0x28,%rsp', '48 83 ec 28', 4, 0x28],
    ['sub $0x388,%rsp', '48 81 ec 88 03 00 00', 7, 0x388],
    ['add $0x28,%rsp', '48 83 c4 28', 4, -0x28],
    ['add $1,%r12', '49 83 c4 01', 4, 0],
    ['and $-16,%rsp', '48 83 e4 f0', 4, 0],
    ['mov %rsp,%rbp', '48 89 e5', 3, 0],
    ['mov %gs:0x28,%rax', '65 48 8b 04 25 28 00 00 00', 9, 0],
    ['mov 0x10(%rsp),%rax', '48 8b 44 24 10', 5, 0],
    ['mov disp32(%rip),%rax', '48 8b 05 00 00 00 00', 7, 0],
    ['movabs', '48 b8 00 00 00 00 00 00 00 00', 10, 0],
    ['mov $imm,%eax', 'b8 01 00 00 00', 5, 0],
    ['mov $imm16,%ax', '66 b8 01 00', 4, 0],
    ['movl $imm,(%rax)', 'c7 00 01 00 00 00', 6, 0],
    ['testb $1,0x7(%rdi)', 'f6 47 07 01', 4, 0],
    ['not %rax', '48 f7 d0', 3, 0],
    ['imul $8,%rax,%rax', '48 6b c0 08', 4, 0],
    ['call', 'e8 00 00 00 00', 5, 0],
    ['jne short', '75 10', 2, 0],
    ['jne near', '0f 85 00 00 00 00', 6, 0],
    ['bt $7,%eax', '0f ba e0 07', 4, 0],
    ['popcnt: named as pop is', 'f3 48 0f b8 c7', 5, -8],
    ['pshufb', '66 0f 38 00 c1', 5, 0],
    ['palignr', '66 0f 3a 0f c1 04', 6, 0],
    ['vzeroupper', 'c5 f8 77', 3, 0],
    ['vpxor', 'c5 f9 ef c0', 4, 0],
    ['ret', 'c3', 1, 0],
    ['ret $8', 'c2 08 00', 3, 0],
    ['lock cmpxchg', 'f0 0f b1 17', 4, 0],
    ['rep stos', 'f3 48 ab', 3, 0],
  ])('%s', (_name, code, length, grows) => {
    expect(decode(bytes(`${code} 90 90 90`), 0)).toEqual({ length, grows })
  })

  test('code that ends within an instruction', () => {
    expect(decode(bytes('48 8b'), 0)).toBeUndefined()
    expect(decode(bytes('e8 00 00'), 0)).toBeUndefined()
    expect(decode(new Uint8Array(0), 0)).toBeUndefined()
  })
})

test('what a function has pushed at a return address', () => {
  // push %rbp; mov %rsp,%rbp; push %rbx; sub $0x10,%rsp; call …
  const code = bytes('55 48 89 e5 53 48 83 ec 10 e8 00 00 00 00 90')
  expect(pushed(code, 14, false)).toBe(8 + 8 + 16)
  expect(pushed(code, 0, false)).toBe(0)
  expect(pushed(code, 0, true)).toBe(8)
  expect(pushed(bytes('58 58 55'), 3, false)).toBe(8)
})
