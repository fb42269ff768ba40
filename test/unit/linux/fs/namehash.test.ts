import { expect, it } from 'vitest'
import { full_name_hash } from '../../../../src/linux/fs/namehash.ts'

it('the hash of a name is the one a real kernel stored', () => {
  // a dentry "zoo-notes.txt" in the directory at that address, on Linux 6.1
  expect(full_name_hash(8, 0xffff8be5859b7e40n, 'zoo-notes.txt')).toBe(3660019064)
})
