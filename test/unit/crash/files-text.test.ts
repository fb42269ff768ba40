import { beforeEach, expect, test } from 'vitest'
import { hex } from '../../../src/base/addr.ts'
import { taskFiles } from '../../../src/crash/files-text.ts'
import { FlatTarget } from '../../support/flat-target.ts'

let t: FlatTarget

beforeEach(() => {
  t = new FlatTarget()
})

const lines = (text: string): string[] => text.trimEnd().split('\n')

test('no files', () => {
  const { text, failed, rows } = taskFiles(t.target, t.context, { cache: false })
  expect(lines(text).slice(1)).toEqual(['ROOT: /    CWD: /', 'No open files'])
  expect(rows).toMatchObject({ pid: 42, comm: 'ncat', root: '/', files: [] })
  expect(failed).toBe(false)
})

test('an exiting task has no ROOT line', () => {
  t.task.$set('fs', null)
  expect(lines(taskFiles(t.target, t.context, { cache: false }).text)[1]).toBe('No open files')
})

test('an inode that was left out of the dump: its row says so, the next is complete', () => {
  const lost = t.inode(0o100644, true)
  t.open(0, 'lost', lost)
  t.open(1, 'kept', t.inode(0o100644))
  t.mem.unmap(lost.$va)
  const { text, rows, failed } = taskFiles(t.target, t.context, { cache: false })
  expect(failed).toBe(true)
  expect(lines(text)[3]).toMatch(/^ {2}0 .* \? {4}<unmapped 0x[0-9a-f]{16}>$/)
  expect(lines(text)[4]).toMatch(/REG {2}\/kept$/)
  expect(rows.files.map(({ path }) => path)).toEqual([expect.stringContaining('<unmapped'), '/kept'])
})

test('a descriptor table that cannot be read', () => {
  t.task.$set('files', 0xffffffff00000000n)
  const { text, failed, rows } = taskFiles(t.target, t.context, { cache: false })
  expect(failed).toBe(true)
  expect(lines(text).at(-1)).toMatch(/^<unmapped 0x/)
  expect(rows.problem).toMatch(/^<unmapped 0x/)
})

test('page counts instead of addresses', () => {
  t.open(3, 'x', t.inode(0o100644))
  const { text } = taskFiles(t.target, t.context, { cache: true })
  expect(lines(text)[2]).toBe(' FD      INODE          I_MAPPING     NRPAGES TYPE PATH')
})

test.each([
  ['3', ['/etc/passwd']],
  ['passwd', ['/etc/passwd']],
  ['REG', ['/etc/passwd']],
  ['nothing', []],
])('a reference: %s', (ref, paths) => {
  t.open(3, 'etc/passwd', t.inode(0o100644))
  t.open(4, 'dev', t.inode(0o040755))
  const { rows, shown } = taskFiles(t.target, t.context, { cache: false, ref })
  expect(rows.files.map(({ path }) => path)).toEqual(paths)
  expect(shown).toBe(paths.length > 0)
})

test('a reference by address, in hex', () => {
  const file = t.open(3, 'x', t.inode(0o100644))
  const { rows } = taskFiles(t.target, t.context, { cache: false, ref: hex(file.$addr) })
  expect(rows.files.map(({ fd }) => fd)).toEqual([3])
})
