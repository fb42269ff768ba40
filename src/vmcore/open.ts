/** Opens a dump of any known format. */

import { existsSync } from 'node:fs'
import { DumpError } from '../base/errors.ts'
import { MAGIC } from './cdump/format.ts'
import { cdumpFormat } from './cdump/read.ts'
import type { ByteSource, Container, Format } from './container.ts'
import { elfFormat } from './elf.ts'
import { openFile } from './file-source.ts'
import { openFlattened } from './flattened.ts'
import { kdumpFormat } from './kdump.ts'
import { joinParts } from './split.ts'

const FORMATS: readonly Format[] = [cdumpFormat, elfFormat, kdumpFormat]
/** Other beginnings than an ELF core's. */
const MAGICS = ['KDUMP   ', 'DISKDUMP', 'makedumpfile', Buffer.from(MAGIC).toString('latin1')]

/**
 * Open a dump; only its index is read.
 *
 * @param path a file, or the files of a split dump with commas between them (a file of just that name comes first)
 * @throws DumpError UNREADABLE when a file cannot be opened, BAD_MAGIC when its format is not known, or what
 * the format's reader finds wrong
 */
export function openContainer(path: string): Container {
  const paths = path.includes(',') && !existsSync(path) ? path.split(',') : [path]
  const opened: Container[] = []
  try {
    for (const each of paths) opened.push(openOne(each))
    return opened.length === 1 ? (opened[0] as Container) : joinParts(opened)
  } catch (error) {
    for (const each of opened) each.close()
    throw error
  }
}

function openOne(path: string): Container {
  const file = openFile(path)
  try {
    return probe(openFlattened(file) ?? file)
  } catch (error) {
    file.close()
    throw error
  }
}

/** Does a file begin as a dump does? A file that cannot be read does not. */
export function beginsAsDump(path: string): boolean {
  try {
    const file = openFile(path)
    try {
      const head = Buffer.from(file.read(0, Math.min(file.size, 18))).toString('latin1')
      const isCore = head.startsWith('\x7fELF') && head.charCodeAt(16) === 4
      return isCore || MAGICS.some((magic) => head.startsWith(magic))
    } finally {
      file.close()
    }
  } catch (error) {
    if (error instanceof DumpError) return false
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
