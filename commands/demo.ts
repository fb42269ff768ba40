import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, Flags } from '@oclif/core'
import { answerLine } from '../src/crash/answer-line.ts'
import { demoWalk } from '../src/crash/demo-walk.ts'
import { failureOf } from '../src/crash/failure.ts'
import { recordFile } from '../src/scenario/record-file.ts'
import { openTarget } from '../src/target/target.ts'

const SCENARIO = 'scenarios/lsm-recvmsg.yaml'
/** The moment the hook has refused, and the connection it refused. */
const MOMENT = { at: 'blocked', task: 'ncat', fd: 4 } as const

export default class Demo extends Command {
  static override summary = 'record the ncat scenario and follow a connection through its memory'
  static override examples = ['coredrill demo', 'coredrill demo -o demo.cdump']
  static override flags = {
    output: Flags.string({ char: 'o', summary: 'where the dump goes', helpValue: 'FILE' }),
  }

  async run(): Promise<void> {
    try {
      const { flags } = await this.parse(Demo)
      await demo(flags.output ?? outputPath())
    } catch (error) {
      process.stderr.write(failureOf('demo', '', error).text)
      process.exitCode = 1
    }
  }
}

async function demo(output: string): Promise<void> {
  const recorded = await recordFile(scenarioPath(), { output, createdBy: 'coredrill demo' })
  process.stdout.write(`## ${recorded.scenario.title}\n`)
  process.stdout.write(`recorded ${SCENARIO} into ${output}, snapshots ${recorded.snapshots.join(' ')}\n`)
  const target = await openTarget(output, { at: MOMENT.at })
  try {
    for (const { heading, command } of demoWalk(target, MOMENT.task, MOMENT.fd)) {
      process.stdout.write(`\n## ${heading}\ncrash> ${command}\n${await answerLine(target, command)}`)
    }
  } finally {
    target.close()
  }
  process.stdout.write(`\n## go on by yourself\ncoredrill crash ${output} --at ${MOMENT.at}\n`)
}

/** The scenario that came with the program, from commands/ and from dist/commands/. */
function scenarioPath(): string {
  const paths = ['..', '../..'].map((up) => fileURLToPath(new URL(`${up}/${SCENARIO}`, import.meta.url)))
  return paths.find((path) => existsSync(path)) ?? SCENARIO
}

/** dumps/ where we are in the repository, else a temporary folder. */
function outputPath(): string {
  if (!existsSync(SCENARIO)) return join(mkdtempSync(join(tmpdir(), 'coredrill-')), 'demo.cdump')
  mkdirSync('dumps', { recursive: true })
  return 'dumps/demo.cdump'
}
