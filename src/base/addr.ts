/**
 * Addresses: `Addr` is exact and travels at the edges; `Va` is the same address as a plain number for the
 * inner loops.
 *
 * A canonical 64-bit address has 48 significant bits, sign-extended. As a *signed* number it is therefore an exact
 * double (with five-level tables it would have 57 bits and not be one): the upper half is negative, user space positive. 32-bit addresses are
 * positive numbers. What is not canonical (poison such as LIST_POISON1) has no `Va`: {@link toVa} gives NaN and
 * the exact value stays in the `Addr`.
 */

declare const brand: unique symbol
/** An exact unsigned 64-bit (or 32-bit) address. */
export type Addr = bigint & { readonly [brand]: 'Addr' }
/** A canonical address as a signed, exact double; NaN where the address is not canonical. */
export type Va = number

const TWO_32 = 0x1_0000_0000
/** The high half of an address beyond this cannot be exact in a double; canonical ones with four levels are far below. */
const CANONICAL_HIGH = 0x0020_0000

/** Make an {@link Addr} of any integer: wraps to 64 bits as C does. */
export function addr(value: bigint | number): Addr {
  return BigInt.asUintN(64, BigInt(value)) as Addr
}

export const NULL = 0n as Addr

/** The signed number of two 32-bit halves, or NaN when they are no canonical address. */
export function vaOfHalves(low: number, high: number): Va {
  const signedHigh = high | 0
  if (signedHigh >= CANONICAL_HIGH || signedHigh < -CANONICAL_HIGH) return NaN
  return signedHigh * TWO_32 + low
}

/** Convert to the number form; NaN when `a` is not canonical. `wordSize` 4 keeps addresses positive. */
export function toVa(a: bigint, wordSize: 4 | 8 = 8): Va {
  if (wordSize === 4) return Number(BigInt.asUintN(32, a))
  const signed = BigInt.asIntN(64, a)
  const n = Number(signed)
  return n >= -(2 ** 53) && n < 2 ** 53 ? n : NaN
}

/** Convert back to the exact form. */
export function toAddr(va: Va): Addr {
  return BigInt.asUintN(64, BigInt(va)) as Addr
}

/** Lower-case hex without `0x` or leading zeros, as crash prints an address. */
export function hex(a: bigint | number): string {
  return BigInt.asUintN(64, BigInt(a)).toString(16)
}

/** Sixteen (or eight) hex digits. */
export function hexFull(a: bigint | number, wordSize: 4 | 8 = 8): string {
  return hex(a).padStart(wordSize * 2, '0')
}

export function align(n: number, to: number): number {
  return Math.ceil(n / to) * to
}
