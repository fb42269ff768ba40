/** Opens a dump of any known format. */

import { DumpError } from '../base/errors.ts'
import { cdumpFormat } from './cdump/read.ts'
import type { ByteSource, Container, Format } from './container.ts'
import { elfFormat } from './elf.ts'
import { openFile } from './file-source.ts'
import { openFlattened } from './flattened.ts'
import { kdumpFormat } from './kdump.ts'

const FORMATS: readonly Format[] = [cdumpFormat, elfFormat, kdumpFormat]

/**
 * Open a dump; only its index is read.
 *
 * @throws DumpError UNREADABLE when the file cannot be opened, BAD_MAGIC when its format is not known, or what
 * the format's reader finds wrong
 */
export function openContainer(path: string): Container {
  const file = openFile(path)
  try {
    return probe(openFlattened(file) ?? file)
  } catch (error) {
    file.close()
    throw error
  }
}

function probe(source: ByteSource): Container {
  if (source.size === 0) throw new DumpError('TRUNCATED', source.path, 0, 'the file is empty')
  for (const format of FORMATS) {
    const container = format.probe(source)
    if (container) return container
  }
  const problem = 'not a dump: neither a coredrill dump nor an ELF or kdump-compressed vmcore'
  throw new DumpError('BAD_MAGIC', source.path, 0, problem)
}
