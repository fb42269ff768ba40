/** Generated files are what their generator makes of the committed inputs. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { vmlinuxTypes } from '../../src/layouts/vmlinux-types.ts'

test('src/btf/vmlinux.ts is generated from src/layouts/*.bin', () => {
  const committed = readFileSync(new URL('../../src/btf/vmlinux.ts', import.meta.url), 'utf8')
  // not toBe(): a diff of half a megabyte helps nobody
  expect(committed === vmlinuxTypes(), 'src/btf/vmlinux.ts is stale: run `npm run generate`').toBe(true)
})
