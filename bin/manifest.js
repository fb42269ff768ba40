/** After the compiler: write oclif.manifest.json, so that listing the commands need not load them all. */

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@oclif/core'

const root = new URL('../', import.meta.url)
const manifest = new URL('oclif.manifest.json', root)

removeStale()
const plugin = new Plugin({
  root: fileURLToPath(root),
  type: 'core',
  ignoreManifest: true,
  errorOnManifestCreate: true,
})
await plugin.load()
writeFileSync(manifest, `${JSON.stringify(plugin.manifest)}\n`)

/** Compiled commands whose source is gone would still be offered. */
function removeStale() {
  const compiled = new URL('dist/commands/', root)
  for (const file of readdirSync(compiled)) {
    const source = new URL(`commands/${file.replace(/(\.d)?\.[jt]s$/, '.ts')}`, root)
    if (!existsSync(source)) rmSync(new URL(file, compiled))
  }
  rmSync(manifest, { force: true })
}
