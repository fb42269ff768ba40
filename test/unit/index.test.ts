/** The package's main export: nothing of the simulator, and package.json points at what the compiler makes of it. */

import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import * as api from '../../src/index.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Every file a source loads, itself included; types alone load nothing. */
function loaded(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen
  seen.add(path)
  const text = readFileSync(path, 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s+'(\.[^']+)'/gm)
  for (const [, type, from = ''] of statements) {
    if (type === undefined) loaded(join(dirname(path), from), seen)
  }
  return seen
}

test('it reads dumps without loading the simulator, the commands or the screen', () => {
  const folders = [...loaded(join(root, 'src/index.ts'))].map((path) => relative(root, path).split('/')[1])
  const foreign = ['linux', 'userland', 'modules', 'scenario', 'layouts', 'crash', 'tui']
  expect(foreign.filter((folder) => folders.includes(folder))).toEqual([])
  expect(folders).toContain('target')
})

test('package.json exports the compiled index with its types', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>
    types: string
  }
  expect(manifest.exports['.']).toEqual({ types: './dist/src/index.d.ts', default: './dist/src/index.js' })
  expect(manifest.types).toBe('./dist/src/index.d.ts')
})

test('the way in and what errors are told by', () => {
  expect(api.openTarget).toBeTypeOf('function')
  expect(() => api.openTargetSync('/nonexistent')).toThrow(api.DumpError)
  expect(new api.DumpError('BAD_FORMAT', 'x', -1, 'y')).toBeInstanceOf(api.CoredrillError)
})
