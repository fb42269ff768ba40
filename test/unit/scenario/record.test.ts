/** Recording: the same bytes from the same scenario and seed, problems at their place, nothing half-written. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerLine } from '../../../src/crash/answer-line.ts'
import { ScenarioError } from '../../../src/scenario/problem.ts'
import { recordFile, type RecordedFile } from '../../../src/scenario/record-file.ts'
import { reportText, type StepReport } from '../../../src/scenario/step-report.ts'
import { openTarget } from '../../../src/target/target.ts'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'coredrill-record-'))))
afterAll(() => rmSync(folder, { recursive: true }))

const NET = `devices:
  - { name: eth0, mac: 08:00:27:00:00:01, address: 10.0.0.1/24, irq_cpu: 1 }
hosts:
  - { name: a, address: 10.0.0.2 }
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
`

/** Record a text. */
async function record(text: string, options: { seed?: string; name?: string } = {}): Promise<RecordedFile> {
  const path = join(folder, 's.yaml')
  writeFileSync(path, text)
  const output = join(folder, `${options.name ?? 'out'}.cdump`)
  return await recordFile(path, { output, seed: options.seed, createdBy: 'test', runCommand: answerLine })
}

/** The error a recording ends in. */
async function failure(text: string): Promise<ScenarioError> {
  try {
    await record(text, { name: 'none' })
  } catch (error) {
    if (error instanceof ScenarioError) return error
    throw error
  }
  throw new Error('it was recorded')
}

const at = ({ problems }: ScenarioError): string[] =>
  problems.map((p) => `${p.position.line}:${p.position.column} ${p.code}`)

const LISTEN = `${NET}steps:
  - run: { name: server, parent: shell, argv: [ncat, -l, -k, 10.0.0.1, '80'] }
`

describe('a recording', () => {
  test('told step by step is the same recording; packets, writes and log lines add up', async () => {
    const text = `${LISTEN}  - connect: { host: a, to: 10.0.0.1:80 }\n  - insmod: { module: recvmsg_block, params: { deny: 10.0.0.2 } }\n  - snapshot: s\n`
    const quiet = await record(text, { name: 'quiet' })
    const path = join(folder, 's.yaml')
    const output = join(folder, 'told.cdump')
    const reports: StepReport[] = []
    await recordFile(path, { output, createdBy: 'test', onStepDone: (report) => reports.push(report) })
    expect(readFileSync(output).equals(readFileSync(quiet.output))).toBe(true)
    expect(reports).toHaveLength(4)
    expect(reports.flatMap(({ frames }) => frames)).toHaveLength(quiet.frames)
    expect(reports[1]?.frames.join()).toMatch(/SYN.*SYN\|ACK/)
    expect(reports[2]?.log.join()).toContain('recvmsg_block')
    expect(reportText(reports[3] as StepReport)).toMatch(
      /^ {4}at 10\.\d+ s, 0\.0+ s long: \d+ writes? by \d+ functions?\n$/,
    )
  })

  test('is the same, byte for byte, the second time', async () => {
    const text = `${LISTEN}  - connect: { host: a, to: 10.0.0.1:80 }\n  - send: { connection: a, data: x }\n  - snapshot: s\n`
    await record(text, { name: 'one' })
    await record(text, { name: 'two' })
    expect(readFileSync(join(folder, 'one.cdump')).equals(readFileSync(join(folder, 'two.cdump')))).toBe(true)
  })

  test('with another seed has other addresses and the same story', async () => {
    const text = `${LISTEN}  - snapshot: s\n`
    const files: string[] = []
    for (const seed of ['1', '2']) {
      await record(text, { name: `seed${seed}`, seed })
      const target = await openTarget(join(folder, `seed${seed}.cdump`))
      files.push(await answerLine(target, 'files 501'))
      target.close()
    }
    expect(files[0]).not.toBe(files[1])
    expect(files[0]?.replaceAll(/[0-9a-f]{16}/g, 'X')).toBe(files[1]?.replaceAll(/[0-9a-f]{16}/g, 'X'))
  })

  test('without a snapshot step keeps the end', async () => {
    expect((await record(LISTEN)).snapshots).toEqual(['end'])
  })

  test('keeps its steps, programs and packets', async () => {
    await record(`${LISTEN}  - connect: { host: a, to: 10.0.0.1:80 }\n  - snapshot: s\n`)
    const target = await openTarget(join(folder, 'out.cdump'))
    expect(await answerLine(target, 'info steps')).toContain(
      'run: { name: server, parent: shell, argv: [ncat, -l',
    )
    expect(await answerLine(target, 'info programs')).toContain('server: ncat -l -k 10.0.0.1 80: running')
    expect(await answerLine(target, 'info packets')).toMatch(
      /eth0 out {2}IP 10\.0\.0\.1\.80 > 10\.0\.0\.2\.\d+: Flags \[S\.\]/,
    )
    expect(await answerLine(target, 'info scenario')).toContain('devices:')
    target.close()
  })

  test('stores say their step and function', async () => {
    const recorded = await record(`${LISTEN}  - snapshot: s\n`)
    expect(recorded.writes).toBeGreaterThan(1000)
  })
})

describe('expectations', () => {
  test('that fail are listed at their place, and the dump is there', async () => {
    const { failed } = await record(`${LISTEN}  - snapshot: s
expect:
  - { of: { process: server, fd: 3 }, that: sk->__sk_common.skc_state, equals: 10 }
  - { of: { process: server, fd: 3 }, that: sk->__sk_common.skc_state, equals: 1 }
  - { of: { process: server, fd: 9 }, that: sk }
  - { that: no_such_symbol }
  - { command: ps ncat, contains: nobody }
  - { log: true, contains: Linux version }
  - { packets: 3 }
  - { exit: server, status: 0 }
`)
    expect(failed.map((p) => p.position.line)).toEqual([12, 13, 14, 15, 17, 18])
    expect(failed[0]?.message).toBe('sk->__sk_common.skc_state is 10')
    expect(existsSync(join(folder, 'out.cdump'))).toBe(true)
  })
})

describe('a step that cannot be done ends the recording', () => {
  test.each([
    [
      'ack without a SYN-ACK',
      `${LISTEN}  - connect: { host: a, to: 10.0.0.1:80 }\n  - ack: a\n`,
      ['10:5 RUN'],
    ],
    ['a time that has passed', `${LISTEN}  - { snapshot: s, at: 1s }\n`, ['9:5 RUN']],
    ['a function that is never called', `${LISTEN}  - { wait: 1s, until: tcp_v4_rcv }\n`, ['9:5 RUN']],
    ['a probe on no function', `${LISTEN}  - probe: 'p:no_such_function'\n`, ['9:5 RUN']],
    [
      'a host that sees it otherwise',
      `${LISTEN}  - connect: { host: a, to: 10.0.0.1:81 }\n  - expect: { connection: a, state: established }\n`,
      ['10:5 RUN'],
    ],
    [
      'a system call that gives something else',
      `${NET}steps:\n  - run: { name: t, parent: shell, argv: [syscalls] }\n  - syscall: { process: t, call: socket, args: [2, 1, 0], expect: -1 }\n`,
      ['9:5 RUN'],
    ],
    [
      'a pin nothing takes',
      `${LISTEN}  - { snapshot: s, pins: [ { cache: TCP, address: 0xffff888003f00000 } ] }\n`,
      ['9 BAD_PIN'],
    ],
    [
      'pins that overlap',
      `${LISTEN}  - { snapshot: s, pins: [ { cache: TCP, address: 0xffff888003f00000 }, { cache: filp, address: 0xffff888003f00100 } ] }\n`,
      ['9 BAD_PIN'],
    ],
    [
      'a pin of no cache',
      `${LISTEN}  - { snapshot: s, pins: [ { cache: nothing, address: 0xffff888003f00000 } ] }\n`,
      ['9 BAD_PIN'],
    ],
    [
      'a pin in the kernel',
      `${LISTEN}  - { snapshot: s, pins: [ { cache: TCP, address: 0xffff888001000000 } ] }\n`,
      ['9 BAD_PIN'],
    ],
  ])('%s', async (_title, text, expected) => {
    const error = await failure(text)
    expect(at(error).map((p) => p.replace(/:\d+ BAD_PIN/, ' BAD_PIN'))).toEqual(expected)
    expect(readdirSync(folder).filter((file) => file.startsWith('none'))).toEqual([])
  })

  test('connecting to a closed port is ECONNREFUSED in the scenario, not an error', async () => {
    const { failed } = await record(
      `${NET}steps:\n  - connect: { host: a, to: 10.0.0.1:81 }\n  - snapshot: s\nexpect:\n  - { connection: a, state: refused }\n`,
    )
    expect(failed).toEqual([])
  })

  test('a host behind the gateway is reached through it', async () => {
    const { failed } = await record(`devices:
  - { name: eth0, mac: 08:00:27:00:00:01, address: 10.0.0.1/24, gateway: 10.0.0.254 }
hosts:
  - { name: far, address: 192.0.2.7 }
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0 }
steps:
  - run: { name: server, parent: shell, argv: [ncat, -l, 10.0.0.1, '80'] }
  - connect: { host: far, to: 10.0.0.1:80 }
  - send: { connection: far, data: "from afar" }
  - snapshot: s
expect:
  - { output: server, equals: from afar }
  - { of: { process: server, fd: 4 }, that: sk->__sk_common.skc_daddr, equals: 0x070200c0 }
`)
    expect(failed).toEqual([])
  })

  test('a place that cannot be written leaves nothing behind', async () => {
    const path = join(folder, 's.yaml')
    writeFileSync(path, `${LISTEN}  - snapshot: s\n`)
    const output = join(folder, 'no', 'such', 'folder.cdump')
    await expect(recordFile(path, { output, createdBy: 'test' })).rejects.toMatchObject({
      code: 'UNWRITABLE',
    })
    await expect(recordFile(path, { output: folder, createdBy: 'test' })).rejects.toMatchObject({
      code: 'UNWRITABLE',
    })
    await expect(
      recordFile(join(folder, 'absent.yaml'), { output, createdBy: 'test' }),
    ).rejects.toMatchObject({
      code: 'UNREADABLE',
    })
  })
})
