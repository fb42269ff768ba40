import { Command } from '@oclif/core'

/** No crash command: the prompt must not offer it. */
export default class Plain extends Command {
  async run(): Promise<void> {
    await Promise.resolve()
  }
}
