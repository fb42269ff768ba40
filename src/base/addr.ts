/**
 * Addresses: `Addr` is exact and travels at the edges; `Va` is the same address as a plain number for the
 * inner loops.
 *
 * A canonical 64-bit address has 48 significant bits, sign-extended. As a *signed* number it is therefore an exact
 * double: the upper half is negative, user space positive. 32-bit addresses are positive numbers. What is not
 * canonical (poison such as LIST_POISON1) has no `Va`: {@link toVa} gives NaN and the exact value stays in the `Addr`.
 *
 * With five-level page tables an address has 57 bits and may not be such a double: the regions in use are then moved
 * to free stretches of the doubles (`windows.ts`). Sums and differences within a region are right, the numbers
 * themselves mean nothing: an address that leaves goes through {@link toAddr} or {@link hex}.
 */

import { anyWindow, openWindows, slotOf, WINDOW, WINDOW_BITS, windowOf } from './windows.ts'

declare const brand: unique symbol
/** An exact unsigned 64-bit (or 32-bit) address. */
export type Addr = bigint & { readonly [brand]: 'Addr' }
/** A canonical address as a signed, exact double; NaN where the address is not canonical. */
export type Va = number

const TWO_32 = 0x1_0000_0000
/** The high half of an address beyond this cannot be exact in a double; canonical ones with four levels are far below. */
const CANONICAL_HIGH = 0x0020_0000
/** The high half of addresses that are canonical with four levels. */
const NEAR_HIGH = 0x8000
/** User addresses that only five levels reach. */
const FAR_USER = 1n << 47n
const FAR_USER_END = 1n << 56n

/** Make an {@link Addr} of any integer (a number is a {@link Va}): wraps to 64 bits as C does. */
export function addr(value: bigint | number): Addr {
  return BigInt.asUintN(64, typeof value === 'number' ? exact(value) : value) as Addr
}

export const NULL = 0n as Addr

/** The signed number of two 32-bit halves, or NaN when they are no canonical address. */
export function vaOfHalves(low: number, high: number): Va {
  const signedHigh = high | 0
  if (signedHigh < NEAR_HIGH && signedHigh >= -NEAR_HIGH) return signedHigh * TWO_32 + low
  if (anyWindow) {
    const slot = slotOf(signedHigh >> 15)
    return slot === undefined ? NaN : slot * WINDOW + (signedHigh & 0x7fff) * TWO_32 + low
  }
  if (signedHigh >= CANONICAL_HIGH || signedHigh < -CANONICAL_HIGH) return NaN
  return signedHigh * TWO_32 + low
}

/** Convert to the number form; NaN when `a` is not canonical. `wordSize` 4 keeps addresses positive. */
export function toVa(a: bigint, wordSize: 4 | 8 = 8): Va {
  if (wordSize === 4) return Number(BigInt.asUintN(32, a))
  const signed = BigInt.asIntN(64, a)
  const n = Number(signed)
  if (n < WINDOW && n >= -WINDOW) return n
  if (anyWindow) return vaOfHalves(Number(signed & 0xffff_ffffn), Number(signed >> 32n))
  return n >= -(2 ** 53) && n < 2 ** 53 ? n : NaN
}

/** {@link toVa} of an address a process may have: beyond 47 bits it is given a window when it has none. */
export function toUserVa(a: bigint, wordSize: 4 | 8 = 8): Va {
  if (anyWindow && wordSize === 8 && a >= FAR_USER && a < FAR_USER_END) openWindows(a, 1)
  return toVa(a, wordSize)
}

/** Convert back to the exact form. */
export function toAddr(va: Va): Addr {
  return BigInt.asUintN(64, exact(va)) as Addr
}

/** The signed address a number stands for. */
function exact(va: Va): bigint {
  // what was no address is shown as none
  if (va !== va) return 0n
  if (!anyWindow || (va < WINDOW && va >= -WINDOW)) return BigInt(va)
  const slot = Math.floor(va / WINDOW)
  const window = windowOf(slot)
  return window === undefined
    ? BigInt(va)
    : (BigInt(window) << BigInt(WINDOW_BITS)) + BigInt(va - slot * WINDOW)
}

/** The address's bits from 47 up, signed: what the top levels of page tables are indexed with. */
export function windowNumber(va: Va): number {
  const slot = Math.floor(va / WINDOW)
  return windowOf(slot) ?? slot
}

/** Lower-case hex without `0x` or leading zeros, as crash prints an address. */
export function hex(a: bigint | number): string {
  return BigInt.asUintN(64, typeof a === 'number' ? exact(a) : a).toString(16)
}

/** Sixteen (or eight) hex digits. */
export function hexFull(a: bigint | number, wordSize: 4 | 8 = 8): string {
  return hex(a).padStart(wordSize * 2, '0')
}

export function align(n: number, to: number): number {
  return Math.ceil(n / to) * to
}
