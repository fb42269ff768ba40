#!/usr/bin/env node
/** The way in: a crash command is loaded alone, because it should answer at once; everything else goes through oclif. */

import { existsSync } from 'node:fs'
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

const commands = new URL('../dist/commands/', import.meta.url)
if (!existsSync(commands)) {
  console.error('coredrill: not built yet: npm run build')
  process.exit(1)
}
const file = new URL(`${id}.js`, commands)
const Command = /^[\w-]+$/.test(id ?? '') && existsSync(file) ? (await import(file.href)).default : undefined
if (Command !== undefined && 'answer' in Command) {
  Command.id = id
  await new Command(argv, { bin: 'coredrill' }).run()
} else {
  const { execute } = await import('@oclif/core')
  await execute({ dir: import.meta.url, args: isHelp ? [id, ...argv] : process.argv.slice(2) })
}
