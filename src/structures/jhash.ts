/** Bob Jenkins's hash over words: what the kernel's socket tables are indexed by. @see include/linux/jhash.h */

const JHASH_INITVAL = 0xdeadbeef

/** The final mixing of three words; the result is the third. @see include/linux/jhash.h:__jhash_final */
function jhash_final(a: number, b: number, c: number): number {
  c ^= b
  c = (c - ((b << 14) | (b >>> 18))) | 0
  a ^= c
  a = (a - ((c << 11) | (c >>> 21))) | 0
  b ^= a
  b = (b - ((a << 25) | (a >>> 7))) | 0
  c ^= b
  c = (c - ((b << 16) | (b >>> 16))) | 0
  a ^= c
  a = (a - ((c << 4) | (c >>> 28))) | 0
  b ^= a
  b = (b - ((a << 14) | (a >>> 18))) | 0
  c ^= b
  c = (c - ((b << 24) | (b >>> 8))) | 0
  return c >>> 0
}

/** Hash three words with a start value already spread. @see include/linux/jhash.h:__jhash_nwords */
function jhash_nwords(a: number, b: number, c: number, initval: number): number {
  return jhash_final((a + initval) | 0, (b + initval) | 0, (c + initval) | 0)
}

/** @see include/linux/jhash.h:jhash_3words */
export function jhash_3words(a: number, b: number, c: number, initval: number): number {
  return jhash_nwords(a, b, c, (initval + JHASH_INITVAL + 12) | 0)
}

/** @see include/linux/jhash.h:jhash_2words */
export function jhash_2words(a: number, b: number, initval: number): number {
  return jhash_nwords(a, b, 0, (initval + JHASH_INITVAL + 8) | 0)
}

/** @see include/linux/jhash.h:jhash_1word */
export function jhash_1word(a: number, initval: number): number {
  return jhash_nwords(a, 0, 0, (initval + JHASH_INITVAL + 4) | 0)
}

/** Hash an array of words. @see include/linux/jhash.h:jhash2 */
export function jhash2(words: readonly number[] | Uint32Array, initval: number): number {
  let length = words.length
  let a = (JHASH_INITVAL + (length << 2) + initval) | 0
  let b = a
  let c = a
  let at = 0
  while (length > 3) {
    a = (a + (words[at] as number)) | 0
    b = (b + (words[at + 1] as number)) | 0
    c = (c + (words[at + 2] as number)) | 0
    a = ((a - c) ^ ((c << 4) | (c >>> 28))) | 0
    c = (c + b) | 0
    b = ((b - a) ^ ((a << 6) | (a >>> 26))) | 0
    a = (a + c) | 0
    c = ((c - b) ^ ((b << 8) | (b >>> 24))) | 0
    b = (b + a) | 0
    a = ((a - c) ^ ((c << 16) | (c >>> 16))) | 0
    c = (c + b) | 0
    b = ((b - a) ^ ((a << 19) | (a >>> 13))) | 0
    a = (a + c) | 0
    c = ((c - b) ^ ((b << 4) | (b >>> 28))) | 0
    b = (b + a) | 0
    length -= 3
    at += 3
  }
  if (length === 0) return c >>> 0
  a = (a + (words[at] as number)) | 0
  if (length > 1) b = (b + (words[at + 1] as number)) | 0
  if (length > 2) c = (c + (words[at + 2] as number)) | 0
  return jhash_final(a, b, c)
}
