/** The hash of a name, salted with its directory: a word at a time. @see fs/namei.c:full_name_hash */

const M64 = (1n << 64n) - 1n
const GOLDEN_RATIO_64 = 0x61c8864680b583ebn
const GOLDEN_RATIO_32 = 0x61c88647

const rol64 = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & M64
const rol32 = (x: number, n: number): number => ((x << n) | (x >>> (32 - n))) >>> 0

/**
 * @param salt the parent's address
 * @returns the 32 bits that `qstr.hash` holds
 */
export function full_name_hash(wordSize: 4 | 8, salt: bigint, name: string): number {
  const bytes = Buffer.from(name, 'utf8')
  return wordSize === 8 ? hash64(salt, bytes) : hash32(Number(BigInt.asUintN(32, salt)), bytes)
}

/** Eight bytes from `at`, zeros behind the end. */
function word64(bytes: Uint8Array, at: number): bigint {
  let word = 0n
  for (let i = Math.min(bytes.length, at + 8) - 1; i >= at; i--)
    word = (word << 8n) | BigInt(bytes[i] as number)
  return word
}

function hash64(salt: bigint, bytes: Uint8Array): number {
  let x = 0n
  let y = BigInt.asUintN(64, salt)
  let at = 0
  for (; bytes.length - at >= 8; at += 8) {
    x ^= word64(bytes, at)
    y ^= x
    x = rol64(x, 12n)
    x = (x + y) & M64
    y = rol64(y, 45n)
    y = (y * 9n) & M64
  }
  if (at < bytes.length) x ^= word64(bytes, at)
  y ^= (x * GOLDEN_RATIO_64) & M64
  y = (y * GOLDEN_RATIO_64) & M64
  return Number(y >> 32n)
}

function hash32(salt: number, bytes: Uint8Array): number {
  let x = 0
  let y = salt
  let at = 0
  for (; bytes.length - at >= 4; at += 4) {
    x = (x ^ Number(BigInt.asUintN(32, word64(bytes, at)))) >>> 0
    y = (y ^ x) >>> 0
    x = (rol32(x, 7) + y) >>> 0
    y = Math.imul(rol32(y, 20), 9) >>> 0
  }
  if (at < bytes.length) x = (x ^ Number(word64(bytes, at))) >>> 0
  return Math.imul(y ^ Math.imul(x, GOLDEN_RATIO_32), GOLDEN_RATIO_32) >>> 0
}
