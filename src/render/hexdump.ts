/** Memory in hex with its text beside it, as crash's `rd` lays it out. */

export interface HexdumpOptions {
  /** bytes of a unit: 1, 2, 4 or 8 */
  readonly unit: 1 | 2 | 4 | 8
  /** columns of the address; longer ones are not cut */
  readonly addressDigits: number
  /** leave the text away */
  readonly bare?: boolean
  /** most significant byte first */
  readonly bigEndian?: boolean
}

const LINE = 16

/** Lines of sixteen bytes: `ffffffff82000000:  0123456789abcdef fedcba9876543210   ........`. */
export function hexdump(bytes: Uint8Array, at: bigint, options: HexdumpOptions): string {
  let text = ''
  for (let from = 0; from < bytes.length; from += LINE)
    text += hexdumpLine(bytes.subarray(from, Math.min(from + LINE, bytes.length)), at + BigInt(from), options)
  return text
}

/** One line; a short one is padded so that its text stands where the others' does. */
export function hexdumpLine(bytes: Uint8Array, at: bigint, options: HexdumpOptions): string {
  const { unit, addressDigits } = options
  const units: string[] = []
  for (let from = 0; from + unit <= bytes.length; from += unit)
    units.push(unitHex(bytes.subarray(from, from + unit), options.bigEndian === true))
  const address = BigInt.asUintN(64, at).toString(16).padStart(addressDigits)
  const shown = `${address}:  ${units.map((text) => `${text} `).join('')}`
  if (options.bare === true) return `${shown}\n`
  const missing = (LINE / unit - units.length) * (unit * 2 + 1)
  return `${shown}${' '.repeat(missing)}  ${asciiText(bytes)}\n`
}

/** Printable ASCII as it is, anything else a dot. */
export function asciiText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
}

function unitHex(bytes: Uint8Array, bigEndian: boolean): string {
  const order = bigEndian ? Array.from(bytes) : Array.from(bytes).reverse()
  return order.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
