/** Expectations, checked on the dump that was written, by the inspector: what a reader of it will see. */

import { CoredrillError, UsageError } from '../base/errors.ts'
import type { CValue } from '../btf/value.ts'
import { evaluate } from '../helpers/expression.ts'
import { logText } from './expect-log.ts'
import { bindingsOf } from './expect-subject.ts'
import { describeFrame } from './frame-text.ts'
import { flagNames, ipText, parseTcp } from '../linux/net/wire/segments.ts'
import type { Frame } from '../linux/net/wire/wire.ts'
import type { Target } from '../target/target.ts'
import type { MemoryExpectation, PacketExpectation, TextChecks } from './grammar.ts'
import { ScenarioError, type Problem } from './problem.ts'
import { connectionProblem, type Run } from './run.ts'
import type { Scenario } from './scenario.ts'

/** Answers a line of the crash prompt as text; throws what the command throws. */
export type CommandRunner = (target: Target, line: string) => Promise<string>

/**
 * Check every expectation of a scenario that has run.
 * @param target the dump, opened
 * @returns the problems, at the expectations that failed
 */
export async function checkExpectations(
  run: Run,
  target: Target,
  runCommand: CommandRunner,
): Promise<Problem[]> {
  const { source, expect } = run.scenario
  const problems: Problem[] = []
  for (const item of expect) {
    let found: string | undefined
    try {
      found = await failureOf(item, run, target, runCommand)
    } catch (error) {
      if (!(error instanceof CoredrillError)) throw error
      found = error.message
    }
    if (found !== undefined) problems.push(source.at(item.path, 'EXPECTATION', found))
  }
  return problems
}

/** All of a run's failed expectations as one error. */
export const expectationError = (scenario: Scenario, problems: readonly Problem[]): ScenarioError =>
  new ScenarioError(scenario.source.path, scenario.source.text, problems)

type Item = Scenario['expect'][number]

/** Why an expectation is not met; undefined when it is. */
async function failureOf(
  { value }: Item,
  run: Run,
  target: Target,
  runCommand: CommandRunner,
): Promise<string | undefined> {
  const at = (name: string | undefined): Target => (name === undefined ? target : target.at(name))
  if ('that' in value) return memoryFailure(value, at(value.at), (name) => run.programs.pidOf(name))
  if ('log' in value) return textFailure(value, logText(at(value.at)), 'the log')
  if ('command' in value)
    return textFailure(value, await runCommand(at(value.at), value.command), value.command)
  if ('output' in value)
    return textFailure(value, run.programs.output(value.output), `output of ${value.output}`)
  if ('probe' in value) {
    const lines = run.traces.rows().find(({ name }) => name === value.probe)?.lines ?? []
    return textFailure(value, lines.join('\n'), `output of probe ${value.probe}`)
  }
  if ('exit' in value) return exitFailure(run, value)
  if ('connection' in value) return connectionProblem(run.connection(value.connection), value)
  return packetFailure(value, run.frames)
}

function memoryFailure(
  e: MemoryExpectation,
  target: Target,
  pidOf: (name: string) => number,
): string | undefined {
  const bindings = e.of === undefined ? undefined : bindingsOf(target, e.of, pidOf)
  const value = evaluate(target, e.that, { names: (name) => bindings?.get(name) })
  if (e.equals === undefined && e.not === undefined) {
    return value.integer() === 0n ? `${e.that} is 0` : undefined
  }
  if (e.equals !== undefined && !equal(value, e.equals)) return `${e.that} is ${shown(value, e.equals)}`
  if (e.not !== undefined && equal(value, e.not)) return `${e.that} is ${shown(value, e.not)}`
  return undefined
}

function equal(value: CValue, expected: bigint | string | boolean | number): boolean {
  if (typeof expected === 'string') return textOf(value) === expected
  const wanted = typeof expected === 'bigint' ? expected : BigInt(Number(expected))
  return BigInt.asUintN(64, value.integer()) === BigInt.asUintN(64, wanted)
}

/** A value in the form it was expected in: text, hexadecimal for addresses, decimal. */
function shown(value: CValue, like: bigint | string | boolean | number): string {
  if (typeof like === 'string') return JSON.stringify(textOf(value))
  const number = value.integer()
  return BigInt.asUintN(64, number) > 0xffff_ffffn
    ? `0x${BigInt.asUintN(64, number).toString(16)}`
    : String(number)
}

/** Characters of an array up to its NUL. */
function textOf(value: CValue): string {
  const { bytes } = value
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
}

const list = (given: string | readonly string[] | undefined): readonly string[] =>
  given === undefined ? [] : typeof given === 'string' ? [given] : given

function textFailure(checks: TextChecks, text: string, what: string): string | undefined {
  for (const part of list(checks.contains)) {
    if (!text.includes(part)) return `${what} does not contain ${JSON.stringify(part)}${excerpt(text)}`
  }
  for (const part of list(checks.lacks)) {
    if (text.includes(part)) return `${what} contains ${JSON.stringify(part)}`
  }
  if (checks.matches !== undefined && !new RegExp(checks.matches, 'm').test(text)) {
    return `${what} does not match /${checks.matches}/${excerpt(text)}`
  }
  if (checks.equals !== undefined && text.trimEnd() !== checks.equals.trimEnd()) {
    return `${what} is different${excerpt(text)}`
  }
  return undefined
}

const excerpt = (text: string): string =>
  text === '' ? ': it is empty' : `: ${JSON.stringify(text.length > 400 ? `…${text.slice(-400)}` : text)}`

function exitFailure(
  run: Run,
  e: { exit: string; status?: number | undefined; signal?: number | undefined },
): string | undefined {
  const ended = run.programs.exitOf(e.exit)
  if (ended === undefined) return `${e.exit} is still there`
  if (e.signal !== undefined && ended.signal !== e.signal)
    return `${e.exit} ended with status ${ended.status}, not by a signal`
  if (e.status !== undefined && (ended.signal !== 0 || ended.status !== e.status)) {
    return ended.signal === 0
      ? `${e.exit} ended with status ${ended.status}`
      : `${e.exit} was killed by signal ${ended.signal}`
  }
  return undefined
}

function packetFailure(e: PacketExpectation, frames: readonly Frame[]): string | undefined {
  const matching = frames.filter((frame) => matches(e, frame))
  if (e.packets !== undefined) {
    return matching.length === e.packets ? undefined : `${matching.length} frames match, not ${e.packets}`
  }
  if (e.packet === undefined) throw new UsageError('packet', 'no packet number')
  const frame = frames[e.packet - 1]
  if (frame === undefined) return `there are ${frames.length} frames`
  return matches(e, frame) ? undefined : `frame ${e.packet} is ${describeFrame(frame)}`
}

function matches(e: PacketExpectation, frame: Frame): boolean {
  if (e.device !== undefined && e.device !== frame.device) return false
  const s = parseTcp(frame.bytes)
  const fields = [e.from, e.to, e.flags, e.seq, e.ack, e.window, e.length]
  if (s === undefined) return fields.every((field) => field === undefined)
  const end = (given: PacketExpectation['from'], ip: number, port: number): boolean =>
    given === undefined || (given.ip === ipText(ip) && given.port === port)
  const same = (given: number | undefined, value: number): boolean => given === undefined || given === value
  return (
    end(e.from, s.source, s.sourcePort) &&
    end(e.to, s.target, s.targetPort) &&
    (e.flags === undefined || sorted(e.flags.split('|')) === sorted(flagNames(s.flags))) &&
    same(e.seq, s.seq) &&
    same(e.ack, s.ack) &&
    same(e.window, s.window) &&
    same(e.length, s.payload.length)
  )
}

const sorted = (names: readonly string[]): string => [...names].sort().join('|')
