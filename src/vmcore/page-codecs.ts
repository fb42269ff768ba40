/** The codecs of pages in a kdump-compressed file, by the flags of a page descriptor. */

import { inflateSync } from 'node:zlib'
import { LzoError, lzoDecompress } from './lzo.ts'
import { SnappyError, snappyDecompress } from './snappy.ts'
import { ZstdError, zstdDecompress } from './zstd.ts'

/** Flags of a page descriptor that name its codec; none: the page as it is. @see makedumpfile diskdump_mod.h */
export const ZLIB = 1
export const LZO = 2
export const SNAPPY = 4
export const ZSTD = 0x20
export const CODECS = ZLIB | LZO | SNAPPY | ZSTD

/**
 * A page's bytes; `undefined` for flags that are no codec.
 *
 * @throws DamagedPageError when the data does not give exactly `size` bytes; its message is the reason
 */
export function decompressPage(stored: Uint8Array, codec: number, size: number): Uint8Array | undefined {
  try {
    switch (codec) {
      case 0:
        return whole(stored, size)
      case ZLIB:
        return whole(new Uint8Array(inflateSync(stored, { maxOutputLength: size })), size)
      case LZO:
        return lzoDecompress(stored, size)
      case SNAPPY:
        return snappyDecompress(stored, size)
      case ZSTD:
        return zstdDecompress(stored, size)
      default:
        return undefined
    }
  } catch (error) {
    if (error instanceof DamagedPageError) throw error
    const isOurs = error instanceof LzoError || error instanceof SnappyError || error instanceof ZstdError
    throw new DamagedPageError(isOurs ? error.message : 'zlib data is damaged', { cause: error })
  }
}

/** The data of a page that cannot be what was written. */
export class DamagedPageError extends Error {}

function whole(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length !== size) throw new DamagedPageError(`holds ${bytes.length} bytes, not ${size}`)
  return bytes
}
