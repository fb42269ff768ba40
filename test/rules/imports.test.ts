/** Who may import whom: the order of docs/architecture.md, read from the import statements of every file. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** What each folder may import besides itself. */
const FLOOR = ['base', 'memory', 'abi']
const READERS = [...FLOOR, 'btf', 'symbols', 'structures', 'vmcore', 'render', 'target', 'helpers']
const SIMULATOR = [...FLOOR, 'btf', 'symbols', 'structures', 'layouts', 'linux', 'modules', 'userland']
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  memory: ['base'],
  abi: ['base'],
  btf: FLOOR,
  symbols: [...FLOOR, 'btf'],
  vmcore: FLOOR,
  render: [...FLOOR, 'btf', 'symbols'],
  structures: [...FLOOR, 'btf', 'symbols'],
  layouts: [...FLOOR, 'btf', 'symbols'],
  linux: SIMULATOR,
  modules: SIMULATOR,
  userland: SIMULATOR,
  target: READERS,
  helpers: READERS,
  scenario: [...READERS, ...SIMULATOR],
  explain: READERS,
  crash: [...READERS, 'explain'],
  // scenarios as tests: records with the one side, looks with the other
  regress: [...READERS, ...SIMULATOR, 'scenario', 'explain', 'crash'],
  tui: [...READERS, 'explain', 'crash'],
}

/** Folders that read dumps: they must not even load the simulator. */
const INSPECTOR = ['btf', 'symbols', 'vmcore', 'render', 'target', 'helpers', 'explain', 'crash', 'tui']
const SIMULATOR_FOLDERS = ['linux', 'userland', 'modules', 'scenario', 'layouts', 'regress']
/** The only commands that reach the simulator. */
const RECORDING_COMMANDS = ['record', 'test', 'demo', 'new', 'validate']

interface Source {
  /** relative to the repository */
  readonly path: string
  readonly text: string
  /** import targets as they stand there; types only or not */
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[]
}

const sources = [...filesUnder('src'), ...filesUnder('commands')].map(readSource)

function filesUnder(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm,
  )
  const imports = [...statements].map(([, type, from, bare, dynamic]) => ({
    from: from ?? bare ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }))
  return { path, text, imports }
}

/** `src/btf/ref.ts` is of `btf`; `src/index.ts` is of ``; `commands/ps.ts` of `commands`. */
function folderOf(path: string): string {
  const parts = path.split('/')
  if (parts[0] !== 'src') return parts[0] ?? ''
  return parts.length > 2 ? (parts[1] ?? '') : ''
}

function resolved(source: Source, from: string): string {
  return relative(root, join(root, dirname(source.path), from))
}

function relativeImports(source: Source) {
  return source.imports.filter(({ from }) => from.startsWith('.'))
}

test('there is something to check', () => {
  expect(sources.length).toBeGreaterThan(20)
})

test('every source folder has its place in the order', () => {
  const folders = new Set(sources.map(({ path }) => folderOf(path)))
  for (const known of ['', 'commands', ...Object.keys(ALLOWED)]) folders.delete(known)
  expect([...folders]).toEqual([])
})

test('imports go downwards', () => {
  const wrong: string[] = []
  for (const source of sources) {
    const folder = folderOf(source.path)
    const allowed = ALLOWED[folder]
    if (allowed === undefined) continue
    for (const { from } of relativeImports(source)) {
      const to = folderOf(resolved(source, from))
      if (to !== folder && !allowed.includes(to)) wrong.push(`${source.path} imports ${from}`)
    }
  }
  expect(wrong).toEqual([])
})

test('the inspector never imports the simulator, not through anything', () => {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const wrong: string[] = []
  const isEntry = ({ path }: Source): boolean =>
    INSPECTOR.includes(folderOf(path)) ||
    (folderOf(path) === 'commands' && !RECORDING_COMMANDS.includes(/([\w-]+)\.ts$/.exec(path)?.[1] ?? ''))
  for (const entry of sources.filter(isEntry)) {
    const seen = new Set<string>()
    const ahead = [entry.path]
    for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
      const source = byPath.get(path)
      if (source === undefined || seen.has(path)) continue
      seen.add(path)
      for (const { from, typeOnly } of relativeImports(source)) {
        const to = resolved(source, from)
        if (SIMULATOR_FOLDERS.includes(folderOf(to)))
          wrong.push(`${entry.path} reaches ${to} through ${path}`)
        else if (!typeOnly) ahead.push(to)
      }
    }
  }
  expect(wrong).toEqual([])
})

test('relative imports name the file, with .ts', () => {
  const wrong = sources.flatMap((source) =>
    relativeImports(source)
      .filter(({ from }) => !/\.(ts|json)$/.test(from))
      .map(({ from }) => `${source.path}: ${from}`),
  )
  expect(wrong).toEqual([])
})

test('blessed is imported by tui/widgets.ts alone', () => {
  const importers = sources.filter(({ imports }) => imports.some(({ from }) => /^(neo-)?blessed/.test(from)))
  expect(importers.map(({ path }) => path).filter((path) => path !== 'src/tui/widgets.ts')).toEqual([])
})

test('crash commands use oclif for their base class only: their bundles do without it', () => {
  const withBundles = sources.filter(
    ({ path, text }) => path.startsWith('src/') || text.includes('crashFlags'),
  )
  const used = withBundles.flatMap(({ path, text }) =>
    [...text.matchAll(/^import (.*) from '@oclif\/core'/gm)].map(([, what]) => `${path}: ${what ?? ''}`),
  )
  expect(used.filter((use) => !/: (type )?\{ Command \}$/.test(use))).toEqual([])
})

/** Comments name forbidden things freely. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1')
}

function offenders(folders: readonly string[], pattern: RegExp): string[] {
  return sources
    .filter(({ path }) => folders.includes(folderOf(path)))
    .filter(({ text }) => pattern.test(code(text)))
    .map(({ path }) => path)
}

test('the simulator has no clock, no chance and no timers of its own', () => {
  const pattern =
    /\bnew Date\b|\bDate\.now\b|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\s*\(|\bperformance\./
  expect(offenders(['linux', 'userland', 'modules', 'scenario'], pattern)).toEqual([])
})

test('only commands, the prompt and the browser print', () => {
  const others = Object.keys(ALLOWED).filter((folder) => !['crash', 'tui'].includes(folder))
  const scripts = ['src/layouts/generate.ts']
  const printing = offenders(others, /\bconsole\.|\bprocess\.(stdout|stderr)\b/)
  expect(printing.filter((path) => !scripts.includes(path))).toEqual([])
})

test('files keep to 600 lines', () => {
  const long = sources.filter(({ text }) => text.split('\n').length > 601).map(({ path }) => path)
  expect(long.filter((path) => path !== 'src/btf/vmlinux.ts')).toEqual([])
})

test('every file begins by saying its idea', () => {
  const silent = sources.filter(({ path, text }) => path.startsWith('src/') && !text.startsWith('/**'))
  expect(silent.map(({ path }) => path)).toEqual([])
})

test('there is no `any`', () => {
  const pattern = /(?::|<|\bas|,|\|)\s*any\b(?!\s*\w)/
  expect(
    offenders([...Object.keys(ALLOWED), 'commands'], pattern).filter((path) => path !== 'src/btf/vmlinux.ts'),
  ).toEqual([])
})
