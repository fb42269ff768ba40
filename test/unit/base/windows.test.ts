import { describe, expect, test } from 'vitest'
import { addr, hex, toAddr, toVa, vaOfHalves } from '../../../src/base/addr.ts'
import { openWindows } from '../../../src/base/windows.ts'

const signed = (a: bigint): bigint => BigInt.asIntN(64, a)

describe('addresses of five levels as numbers', () => {
  test('with no window open, numbers are the addresses themselves', () => {
    expect(toVa(0xffff_8880_0000_1000n)).toBe(-0x777f_ffff_f000)
    expect(toVa(0x0012_0000_0000_0000n)).toBe(0x12_0000_0000_0000)
    expect(toVa(0xff11_0000_0000_0000n)).toBeNaN()
  })

  test('every address of an open region is exact and comes back, in order', () => {
    expect(openWindows(signed(0xff11_cfcd_c000_0000n), 2 ** 48)).toBe(true)
    const first = 0xff11_cfcd_c000_0000n
    let before = -Infinity
    for (const plus of [0n, 1n, 7n, (1n << 40n) + 3n, (1n << 47n) + 5n, (1n << 48n) - 1n]) {
      const va = toVa(first + plus)
      expect(Number.isSafeInteger(va)).toBe(true)
      expect(va - toVa(first)).toBe(Number(plus))
      expect(va).toBeGreaterThan(before)
      expect(toAddr(va)).toBe(first + plus)
      expect(addr(va)).toBe(first + plus)
      expect(hex(va)).toBe((first + plus).toString(16))
      expect(vaOfHalves(Number((first + plus) & 0xffff_ffffn), Number((first + plus) >> 32n))).toBe(va)
      before = va
    }
  })

  test('opening again changes nothing', () => {
    const va = toVa(0xff11_cfcd_c000_0000n)
    expect(openWindows(signed(0xff11_cfcd_c000_0000n), 4096)).toBe(true)
    expect(toVa(0xff11_cfcd_c000_0000n)).toBe(va)
  })

  test('kernel addresses stay negative, user ones positive; the near ones stay what they are', () => {
    openWindows(0xabn << 48n, 1)
    expect(toVa(0xabn << 48n)).toBeGreaterThan(0)
    expect(toVa(0xff11_cfcd_c000_0000n)).toBeLessThan(0)
    expect(toVa(0xffff_ffff_8100_0000n)).toBe(-0x7f00_0000)
    expect(toVa(0x7fff_ffff_f000n)).toBe(0x7fff_ffff_f000)
  })

  test('what is in no window has no number', () => {
    expect(toVa(0xffa0_0000_0000_0000n)).toBeNaN()
    expect(toVa(0xdead_0000_0000_0100n)).toBeNaN()
  })

  test('when none are left the answer is no', () => {
    let opened = 0
    while (opened < 100 && openWindows(BigInt(-500 + opened * 3) << 47n, 1)) opened++
    expect(opened).toBeLessThan(40)
    expect(openWindows(signed(0xff11_cfcd_c000_0000n), 4096)).toBe(true)
    expect(openWindows(1n << 60n, 1)).toBe(false)
  })
})
