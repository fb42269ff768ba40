/**
 * After the compiler: one file for each crash command, so that it starts at once, and the list of all commands, so
 * that `--help` need not load them.
 */

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@oclif/core'
import { rolldown } from 'rolldown'

const root = new URL('../', import.meta.url)
const compiled = new URL('dist/commands/', root)
const bundles = new URL('dist/inspect/', root)

removeStale()
await bundle(await crashCommands())
await writeManifest()

/** Compiled commands whose source is gone would still be offered. */
function removeStale() {
  for (const file of readdirSync(compiled)) {
    const source = new URL(`commands/${file.replace(/(\.d)?\.[jt]s$/, '.ts')}`, root)
    if (!existsSync(source)) rmSync(new URL(file, compiled))
  }
  rmSync(bundles, { recursive: true, force: true })
}

/** Names of the commands that inspect a dump, and of the prompt: they have a table of crash's options. */
async function crashCommands() {
  const names = readdirSync(compiled).flatMap((file) => /^([\w-]+)\.js$/.exec(file)?.[1] ?? [])
  const modules = await Promise.all(names.map((name) => import(new URL(`${name}.js`, compiled).href)))
  return names.filter(
    (_, i) => typeof modules[i].default === 'function' && 'crashFlags' in modules[i].default,
  )
}

/**
 * Of oclif such a command uses the name `Command` only (test/rules/imports.test.ts sees to that), so an empty class
 * takes its place here: that is a third of the start.
 */
async function bundle(names) {
  if (names.length === 0) return
  const build = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, fileURLToPath(new URL(`${name}.js`, compiled))])),
    platform: 'node',
    external: ['msgpackr'],
    plugins: [
      {
        name: 'no-oclif',
        resolveId: (id) => (id === '@oclif/core' ? '\0oclif' : undefined),
        load: (id) =>
          id === '\0oclif'
            ? 'export class Command { constructor(argv) { this.argv = argv } get ctor() { return this.constructor } }'
            : undefined,
      },
    ],
  })
  await build.write({
    dir: fileURLToPath(bundles),
    format: 'esm',
    entryFileNames: 'commands/[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  })
  await build.close()
}

async function writeManifest() {
  const manifest = new URL('oclif.manifest.json', root)
  rmSync(manifest, { force: true })
  const plugin = new Plugin({
    root: fileURLToPath(root),
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
  })
  await plugin.load()
  writeFileSync(manifest, `${JSON.stringify(plugin.manifest)}\n`)
}
