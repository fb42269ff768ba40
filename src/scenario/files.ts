/** Files a scenario has from the start: owner and contents. */

import type { inode } from '../btf/vmlinux.ts'
import { eachPage } from '../linux/fs/pagecache.ts'
import type { Kernel } from '../linux/kernel.ts'
import { SourceKind } from '../memory/memory.ts'
import type { FileSpec } from './grammar.ts'

/** Give a file of the root file system its owner and bytes. */
export function writeContents(k: Kernel, inode: inode, file: FileSpec): void {
  inode.i_uid.val = file.uid
  inode.i_gid.val = file.gid
  const bytes = file.contents
  if (bytes === undefined || file.kind === 'dir') return
  let done = 0
  eachPage(k, inode, 0, bytes.length, true, (va, n) => {
    k.mem.write(va, bytes.subarray(done, done + n), SourceKind.Scenario, 0)
    done += n
    return true
  })
  inode.i_size = BigInt(bytes.length)
}
