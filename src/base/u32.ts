/** 32-bit arithmetic that wraps as the kernel's does: sequence numbers and jiffies. */

/** `a` precedes `b` in sequence space. @see include/net/tcp.h:before */
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0
/** `a` follows `b`. @see include/net/tcp.h:after */
export const after = (a: number, b: number): boolean => ((b - a) | 0) < 0
/** `low <= s <= high` in sequence space. @see include/net/tcp.h:between */
export const between = (s: number, low: number, high: number): boolean =>
  (high - low) >>> 0 >= (s - low) >>> 0

export const u32 = (n: number): number => n >>> 0
export const add32 = (a: number, b: number): number => (a + b) >>> 0
export const sub32 = (a: number, b: number): number => (a - b) >>> 0

export const swab16 = (n: number): number => ((n & 0xff) << 8) | ((n >>> 8) & 0xff)
export const swab32 = (n: number): number =>
  (((n & 0xff) << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0

/** Host (little-endian) to network order, as stored in a `__be16`. */
export const htons = swab16
export const ntohs = swab16
export const htonl = swab32
export const ntohl = swab32

export const rol32 = (n: number, by: number): number => ((n << by) | (n >>> (32 - by))) >>> 0

/** The little-endian word at a place of bytes that are known to reach behind it: without a DataView, for hot loops. */
export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0
