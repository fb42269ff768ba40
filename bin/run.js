#!/usr/bin/env node
/** The way in: a crash command is loaded alone, because it should answer at once; everything else goes through oclif. */

import { existsSync, statSync } from 'node:fs'
import nodeModule from 'node:module'

nodeModule.enableCompileCache?.()
// The reader of our output may leave early (head, a pager): that is no error of ours.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

const [first, ...rest] = process.argv.slice(2)
const isHelp = first === 'help' && rest.length > 0
const id = isHelp ? rest[0] : first
const argv = isHelp ? ['--help'] : rest

const dist = new URL('../dist/', import.meta.url)
if (!existsSync(dist)) {
  console.error('coredrill: not built yet: npm run build')
  process.exit(1)
}
const file = /^[\w-]+$/.test(id ?? '') ? newest(`inspect/commands/${id}.js`, `commands/${id}.js`) : undefined
if (file === undefined && /^\w/.test(id ?? '') && id !== 'help') {
  console.error(
    `coredrill: command not found: ${JSON.stringify(id).slice(1, -1)} (coredrill help lists what there is)`,
  )
  process.exit(2)
}
const Command = file === undefined ? undefined : (await import(file.href)).default
if (Command !== undefined && 'crashFlags' in Command) {
  Command.id = id
  await new Command(argv, { bin: 'coredrill' }).run()
} else {
  const { execute } = await import('@oclif/core')
  await execute({
    dir: import.meta.url,
    args: isHelp ? [id, ...argv] : first === 'help' ? ['--help'] : process.argv.slice(2),
  })
}

/** The bundled form of a command, unless the compiler ran after the bundler. */
function newest(bundled, compiled) {
  const [a, b] = [bundled, compiled].map((path) => new URL(path, dist))
  const [madeA, madeB] = [a, b].map((url) => statSync(url, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  if (madeA === 0 && madeB === 0) return undefined
  return madeA >= madeB ? a : b
}
