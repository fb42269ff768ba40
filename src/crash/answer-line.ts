/** A line of the crash prompt answered as text: what a test or a scenario's expectation looks at. */

import type { Target } from '../target/target.ts'
import { TextOutput } from './output.ts'
import { Session } from './session.ts'
import { Shell } from './shell.ts'

/** The output of a line, errors included, as one text. Pipes and redirections work as at the prompt. */
export async function answerLine(target: Target, line: string): Promise<string> {
  const output = new TextOutput()
  const shell = new Shell({ session: new Session(target), output })
  shell.session.context.silent = true
  await shell.execute(line)
  return output.text
}
