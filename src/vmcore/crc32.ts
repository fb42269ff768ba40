/** CRC-32 as zlib has it; node:zlib's own is not in every supported Node. */

const TABLES = makeTables()

function makeTables(): readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const first = new Uint32Array(256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
    first[n] = c >>> 0
  }
  const next = (table: Uint32Array): Uint32Array => table.map((c) => (c >>> 8) ^ (first[c & 0xff] as number))
  const second = next(first)
  const third = next(second)
  return [first, second, third, next(third)]
}

/** The checksum of `bytes`; `previous` continues one. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  const [t0, t1, t2, t3] = TABLES
  let c = ~previous
  let i = 0
  for (const end = bytes.length - 3; i < end; i += 4) {
    c ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    c =
      (t3[c & 0xff] as number) ^
      (t2[(c >>> 8) & 0xff] as number) ^
      (t1[(c >>> 16) & 0xff] as number) ^
      (t0[c >>> 24] as number)
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ (t0[(c ^ (bytes[i] as number)) & 0xff] as number)
  return ~c >>> 0
}
