/** Rows as JSON: exact, and the same on every machine. */

/**
 * Two-space JSON with a final newline. A bigint is `"0x…"` (an address or a 64-bit word; counts are numbers), a typed
 * reference its address, bytes a hex string, a Map an object, NaN null.
 */
export function toJsonText(rows: unknown): string {
  return `${JSON.stringify(rows ?? null, replacer, 2)}\n`
}

function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return word(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (value instanceof Map) return Object.fromEntries(value)
  return '$addr' in value && typeof value.$addr === 'bigint' ? word(value.$addr) : value
}

function word(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}
