/** What printk()'s formats make of addresses. */

/** "%pI4": the four bytes as they lie in memory. */
export const dotted = (address: number): string =>
  [0, 8, 16, 24].map((shift) => (address >>> shift) & 0xff).join('.')
