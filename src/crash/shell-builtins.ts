/** The prompt's own commands: they work on the session itself, not on the dump. */

import { commandHelp, commandList } from './help.ts'
import { helpTopics } from './help-topics.ts'
import type { Output } from './output.ts'
import type { Shell } from './shell.ts'

export interface Builtin {
  readonly summary: string
  readonly synopsis: string
  readonly details?: string
  /** False when it failed. */
  readonly run: (shell: Shell, words: readonly string[], output: Output) => Promise<boolean> | boolean
}

const leave: Builtin = {
  summary: 'leave',
  synopsis: 'q',
  run(shell) {
    shell.quit = true
    return true
  },
}

const alias: Builtin = {
  summary: 'names for commands with their first words',
  synopsis: 'alias [name] [command words]',
  details: 'Without words: show the table, or one name. With words: define. With "" for the words: remove.',
  run(shell, [name, ...words], output) {
    if (name === undefined || words.length === 0) {
      const table = shell.aliases.table(name)
      output.write(table === '' ? `alias: no such alias: ${name ?? ''}\n` : table)
      return table !== ''
    }
    if (isReserved(shell, name)) {
      output.note(`alias: ${name} is the name of a command`)
      return false
    }
    const known = shell.aliases.set(name, words.join(' '), shell.origin)
    if (!known) output.note(`alias: no such alias: ${name}`)
    return known
  },
}

function isReserved(shell: Shell, name: string): boolean {
  return builtins.has(name) || shell.session.commands.names.includes(name)
}

const history: Builtin = {
  summary: 'the lines given so far, numbered',
  synopsis: 'h',
  details: '"r" gives the last one again, "r7" the seventh, "r text" the last that began with text.',
  run(shell, _words, output) {
    output.write(shell.history.map((line, i) => `[${i + 1}] ${line}\n`).join(''))
    return true
  },
}

const help: Builtin = {
  summary: 'what the commands do',
  synopsis: 'help [command | input | output]',
  async run(shell, words, output) {
    if (words.length === 0) {
      output.write(commandList(await summaries(shell)))
      return true
    }
    let known = true
    for (const name of words) known = (await helpOn(shell, name, output)) && known
    return known
  },
}

async function summaries(shell: Shell): Promise<[string, string][]> {
  const own = [...builtins].map(([name, builtin]): [string, string] => [name, builtin.summary])
  const others = (await shell.session.commands.all()).map(([name, Class]): [string, string] => [
    name,
    Class.summary ?? '',
  ])
  return [...own, ...others].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function helpOn(shell: Shell, name: string, output: Output): Promise<boolean> {
  const topic = helpTopics.get(name)
  const builtin = builtins.get(name)
  const Class = await shell.session.commands.find(name === '*' ? 'struct' : name)
  const aliased = shell.aliases.expand(name)
  if (topic !== undefined) output.write(topic)
  else if (builtin !== undefined) {
    const { summary, synopsis, details } = builtin
    const lines = ['NAME', `  ${name} - ${summary}`, '', 'SYNOPSIS', `  ${synopsis}`]
    if (details !== undefined) lines.push('', 'DESCRIPTION', `  ${details}`)
    output.write(`${lines.join('\n')}\n`)
  } else if (Class !== undefined) output.write(commandHelp(name, Class, 'prompt'))
  else if (aliased !== name) output.write(`${name}: alias of: ${aliased}\n`)
  else {
    output.note(`help: no command or topic: ${name}`)
    return false
  }
  return true
}

const repeat: Builtin = {
  summary: 'give a command again and again until Ctrl-C',
  synopsis: 'repeat [-seconds] command',
  async run(shell, words, output) {
    const seconds = /^-(\d{1,5})$/.exec(words[0] ?? '')?.[1]
    const command = words.slice(seconds === undefined ? 0 : 1).join(' ')
    if (command === '') {
      output.note('Usage:\n  repeat [-seconds] command\nEnter "help repeat" for details.')
      return false
    }
    if (!shell.interactive) {
      output.note('repeat: only Ctrl-C ends it: not without a terminal')
      return false
    }
    while (!shell.interrupted && output.ended !== true) {
      await shell.run(shell.aliases.expand(command), output)
      await pause(Number(seconds ?? 0) * 1000, () => shell.interrupted)
    }
    return true
  },
}

/** Wait, looking up every tenth of a second. */
async function pause(milliseconds: number, stop: () => boolean): Promise<void> {
  for (let left = milliseconds; left >= 0 && !stop(); left -= 100) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, 100)))
  }
}

/** By name. */
export const builtins: ReadonlyMap<string, Builtin> = new Map([
  ['alias', alias],
  ['exit', leave],
  ['h', history],
  ['help', help],
  ['history', history],
  ['q', leave],
  ['repeat', repeat],
])
