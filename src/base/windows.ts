/**
 * Where the far regions of a kernel with five-level page tables lie as numbers. Its addresses have 57 bits, a double
 * holds 53: so each region in use is given a free stretch of the exact doubles, in windows of 128 TiB, and what is in
 * no window has no number.
 *
 * A window is known by its place in the real address space, so all opened memories share one table, and equal
 * addresses are equal numbers. With four levels no window is ever opened and nothing here is used.
 */

/** Bits of an address within its window; those of a four-level half, which keep their place. */
export const WINDOW_BITS = 47
export const WINDOW = 2 ** WINDOW_BITS
/** Slots of one half of the exact doubles, the first of which holds the addresses that need no window. */
const SLOTS = 64
/** Windows of one half of a 57-bit address space. */
const WINDOWS = 512

const slots = new Map<number, number>()
const windows = new Map<number, number>()
const next = { kernel: -SLOTS, user: 1 }

/** Is any window open? */
export let anyWindow = false

/** Slot of a window (the address's bits from 47 up, signed); undefined when it is not open. */
export function slotOf(window: number): number | undefined {
  return window === 0 || window === -1 ? window : slots.get(window)
}

/** The window that lies in a slot; undefined for a free one. */
export function windowOf(slot: number): number | undefined {
  return slot === 0 || slot === -1 ? slot : windows.get(slot)
}

/**
 * Give the addresses `from <= a < from + bytes` numbers, consecutive ones; what has them keeps them.
 *
 * @param from signed
 * @returns false when no stretch of that size is left
 */
export function openWindows(from: bigint, bytes: number): boolean {
  const first = Number(from >> BigInt(WINDOW_BITS))
  const last = Number((from + BigInt(Math.max(1, bytes)) - 1n) >> BigInt(WINDOW_BITS))
  if (first < -WINDOWS || last >= WINDOWS) return false
  if (isOpen(first, last)) return true
  const half = first < 0 ? 'kernel' : 'user'
  const limit = half === 'kernel' ? -1 : SLOTS
  const start = next[half]
  // One slot stays free behind each region: running off its end must not lead into another.
  if (start + (last - first) >= limit) return false
  next[half] = start + (last - first) + 2
  for (let window = first; window <= last; window++) {
    windows.set(start + window - first, window)
    if (!slots.has(window)) slots.set(window, start + window - first)
  }
  anyWindow = true
  return true
}

/** Do these windows have slots, one after the other? */
function isOpen(first: number, last: number): boolean {
  const start = slotOf(first)
  if (start === undefined) return false
  for (let window = first; window <= last; window++)
    if (windowOf(start + window - first) !== window) return false
  return true
}
