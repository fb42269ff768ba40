/** Scenarios recorded once per test process, their dumps opened at one snapshot after the other. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { StructRef } from '../../src/btf/ref.ts'
import type { task_struct } from '../../src/btf/vmlinux.ts'
import { Session } from '../../src/crash/session.ts'
import { Shell } from '../../src/crash/shell.ts'
import { TextOutput } from '../../src/crash/output.ts'
import { rowsOf } from '../../src/explain/history.ts'
import { framesOf } from '../../src/explain/packets.ts'
import { fget } from '../../src/helpers/fs.ts'
import { find_task } from '../../src/helpers/pid.ts'
import { sock_from_file } from '../../src/helpers/sock.ts'
import { flagNames, parseTcp } from '../../src/linux/net/wire/segments.ts'
import type { ProgramRow } from '../../src/scenario/programs.ts'
import { readScenario } from '../../src/scenario/record-file.ts'
import { recordScenario } from '../../src/scenario/recorder.ts'
import { parseScenario, type Scenario } from '../../src/scenario/scenario.ts'
import type { Trace } from '../../src/scenario/traces.ts'
import { openTargetSync, type Target } from '../../src/target/target.ts'
import { writeCdump } from '../../src/vmcore/cdump/write.ts'

const folder = fileURLToPath(new URL('../../scenarios/', import.meta.url))
const recorded = new Map<string, Target>()

/** The dump of `scenarios/NAME.yaml` at a snapshot; the last one when none is named. */
export function recordedTarget(name: string, at?: string): Target {
  const target = recorded.get(name) ?? record(name, readScenario(join(folder, `${name}.yaml`)))
  recorded.set(name, target)
  return at === undefined ? target : target.at(at)
}

/** The dump of a scenario spelled out in a test. */
export function recordedText(yaml: string, at?: string): Target {
  const target = recorded.get(yaml) ?? record('test', parseScenario('test.yaml', yaml))
  recorded.set(yaml, target)
  return at === undefined ? target : target.at(at)
}

function record(name: string, scenario: Scenario): Target {
  const { dump } = recordScenario(scenario, { name, createdBy: 'test' })
  const scratch = mkdtempSync(join(tmpdir(), 'coredrill-recorded-'))
  try {
    const path = join(scratch, `${name}.cdump`)
    writeCdump(path, dump)
    return openTargetSync(path)
  } finally {
    // an open file outlives its name
    rmSync(scratch, { recursive: true })
  }
}

/** What the crash prompt answers to a line, errors included. */
export async function crash(target: Target, line: string): Promise<string> {
  const output = new TextOutput()
  await new Shell({ session: new Session(target), output }).execute(line)
  return output.text
}

/** Lines a probe of the scenario printed. @throws Error when the dump has no such probe */
export function traceLines(target: Target, name: string): readonly string[] {
  return named(rowsOf<Trace>(target, 'traces'), name).lines
}

/** Function names of the first stack a probe printed. */
export function stackOf(lines: readonly string[]): string[] {
  const start = lines.findIndex((line) => line.startsWith(' => '))
  const length = lines.slice(start).findIndex((line) => !line.startsWith(' => '))
  return lines.slice(start, length < 0 ? undefined : start + length).map((line) => line.slice(4))
}

/** A program of the scenario: what it wrote, how it ended. */
export const programRow = (target: Target, name: string): ProgramRow =>
  named(rowsOf<ProgramRow>(target, 'programs'), name)

function named<T extends { readonly name: string }>(rows: readonly T[], name: string): T {
  const row = rows.find((each) => each.name === name)
  if (row === undefined) throw new Error(`the scenario has no ${name}`)
  return row
}

/** The TCP segments of the dump's capture: `51000 > 31337 SYN`, payload bytes appended when there are any. */
export function segmentsOf(target: Target): string[] {
  return framesOf(target).flatMap((bytes) => {
    const tcp = parseTcp(bytes)
    if (tcp === undefined) return []
    const data = tcp.payload.length === 0 ? '' : ` ${tcp.payload.length}`
    return [`${tcp.sourcePort} > ${tcp.targetPort} ${flagNames(tcp.flags).join('|')}${data}`]
  })
}

/** @throws Error when there is no such task */
export function taskOf(target: Target, pid: number): task_struct {
  const task = find_task(target, pid)
  if (task === null) throw new Error(`no task ${pid}`)
  return task as task_struct
}

/** The `struct file` at a descriptor, and the socket and sock behind it. @throws Error when it is no socket */
export function socketAt(target: Target, pid: number, fd: number) {
  const file = fget(taskOf(target, pid), fd)
  const socket = file === undefined ? undefined : sock_from_file(file)
  const sk = socket?.$ref('sk')
  if (file === undefined || socket === undefined || sk === null || sk === undefined)
    throw new Error(`descriptor ${fd} of ${pid} is no socket`)
  return { file, socket, sk }
}

/** The function a pointer member points at, by its symbol. */
export function symbolAt(target: Target, ref: StructRef, member: string): string {
  const hit = target.symbolize(ref.$int(member))
  return hit === undefined ? '' : `${hit.name}${hit.offset === 0 ? '' : `+${hit.offset}`}`
}
