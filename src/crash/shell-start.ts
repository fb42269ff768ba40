/** How a crash session begins: what it shows, and which lines it takes before the prompt. */

import type { Target } from '../target/target.ts'
import { splitCommands } from './line.ts'
import { StreamOutput, TextOutput } from './output.ts'
import { Session } from './session.ts'
import { Shell } from './shell.ts'
import { runStartFiles } from './shell-files.ts'
import { pager, PROMPT, runPrompt, runScript } from './shell-prompt.ts'

export interface ShellStart {
  readonly target: Target
  /** how the user named it */
  readonly path: string
  /** `-s`: show nothing but what commands print */
  readonly silent: boolean
  /** `-e`: commands, semicolons between them; then leave */
  readonly commands: readonly string[]
  /** `-i`: command files, before the prompt */
  readonly files: readonly string[]
}

/**
 * Run a session on the process's own streams.
 *
 * @returns the exit status: 1 when a command of a script failed; 0 from a terminal
 * @throws the operating system's error when a command file cannot be read
 */
export async function startShell(start: ShellStart): Promise<0 | 1> {
  const isScript = start.commands.length > 0
  const interactive = process.stdin.isTTY && process.stdout.isTTY && !isScript
  const silent = start.silent || isScript
  const shell = makeShell(start.target, interactive)
  shell.session.context.silent = silent
  await runStartFiles(shell)
  if (!silent) await welcome(shell, `coredrill: ${start.path}`)
  const echo = (line: string): void => {
    if (!silent) shell.output.write(`${PROMPT}${line}\n`)
  }
  for (const file of start.files) await shell.executeFile(file, echo)
  for (const command of start.commands.flatMap(splitCommands)) {
    if (!shell.quit) await shell.execute(command)
  }
  if (!isScript && !shell.quit) {
    if (interactive) await runPrompt(shell)
    else await runScript(shell, process.stdin, echo)
  }
  return shell.failures > 0 && !interactive ? 1 : 0
}

function makeShell(target: Target, interactive: boolean): Shell {
  const session = new Session(target)
  session.context.scroll = interactive
  const output = new StreamOutput(process.stdout)
  const shell: Shell = new Shell({
    session,
    output,
    interactive,
    children: 'inherit',
    ...(interactive && {
      page: (plain) =>
        pager(
          () => shell,
          plain,
          () => process.stdout.rows,
        ),
    }),
  })
  return shell
}

/** What crash shows first: the system, then the context, one under the other. */
async function welcome(shell: Shell, banner: string): Promise<void> {
  shell.output.write(`${banner}\n\n`)
  for (const [command, indent] of [
    ['sys', ''],
    ['set', '     '],
  ] as const) {
    if ((await shell.session.commands.find(command)) === undefined) continue
    const text = new TextOutput()
    await shell.session.print(command, [], text)
    shell.output.write(text.text.replace(/^(?=.)/gm, indent))
  }
  shell.output.write('\n')
}
