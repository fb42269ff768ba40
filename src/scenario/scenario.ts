/** From a scenario's text to a checked scenario: everything that can be wrong before it runs is found here, at once. */

import type { z } from 'zod'
import { findProfile, profiles } from '../linux/profile.ts'
import { path as pathSchema } from './fields.ts'
import {
  expectations,
  fileSchema,
  listSections,
  sections,
  stepFields,
  type ClockSpec,
  type DeviceSpec,
  type Expectation,
  type ExpectationKind,
  type FileSpec,
  type GoldenCommand,
  type HostSpec,
  type ModuleSpec,
  type PinSpec,
  type ProbeSpec,
  type ProcessSpec,
} from './grammar.ts'
import { issueProblems, unknownName } from './issues.ts'
import {
  checkExpectation,
  checkMachine,
  checkPins,
  expectationKind,
  LINEAR_MAP_32,
  LINEAR_MAP_64,
  probeName,
} from './check.ts'
import { allPins } from './pins.ts'
import { Names } from './names.ts'
import { ScenarioError, type Problem, type ProblemCode } from './problem.ts'
import { ScenarioSource, type Path } from './source.ts'
import type { StepDefinition } from './step.ts'
import { steps as allSteps } from './steps/index.ts'

/** A step to run: what, with which parameters, and the fields all steps have. */
export interface ScenarioStep {
  readonly definition: StepDefinition
  readonly params: unknown
  readonly at: number | undefined
  readonly until: string | undefined
  readonly pins: readonly PinSpec[]
  readonly log_times: readonly number[]
  readonly notes: string | undefined
  /** Where it stands in the file. */
  readonly path: Path
}

export interface Scenario {
  readonly source: ScenarioSource
  readonly title: string
  readonly notes: string
  readonly profile: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly seed: string
  readonly clock: ClockSpec
  readonly hostname: string
  readonly panicOnOops: boolean
  readonly exports: readonly string[]
  /** Symbols of the image that must lie at these addresses. */
  readonly symbols: Readonly<Record<string, bigint>>
  /** ES module files with modules of its own, relative to the scenario. */
  readonly moduleFiles: readonly string[]
  readonly moduleAddresses: Readonly<Record<string, bigint>>
  readonly devices: readonly DeviceSpec[]
  readonly hosts: readonly HostSpec[]
  readonly files: ReadonlyMap<string, FileSpec>
  readonly processes: readonly ProcessSpec[]
  readonly modules: readonly ModuleSpec[]
  readonly probes: readonly ProbeSpec[]
  /** Commands whose answers its golden record keeps. */
  readonly golden: readonly GoldenCommand[]
  readonly steps: readonly ScenarioStep[]
  readonly expect: readonly {
    readonly kind: ExpectationKind
    readonly value: Expectation
    readonly path: Path
  }[]
}

export const DEFAULT_PROFILE = 'debian-6.1-x86_64'
const DEFAULTS = { cpus: 2, memory: 64 << 20, seed: '1', hostname: 'coredrill' } as const
/** What memory is kept under when the kernel panics. */
export const CRASH_SNAPSHOT = 'crashed'
const STEPS_MAX = 10_000

/**
 * Read and check a scenario.
 * @param path for messages
 * @throws ScenarioError with every problem
 */
export function parseScenario(path: string, text: string): Scenario {
  const source = new ScenarioSource(path, text)
  const problems: Problem[] = [...source.problems]
  const scenario = new Reader(source, problems).scenario()
  if (problems.length > 0) throw new ScenarioError(path, text, problems)
  return scenario
}

type Output<S> = S extends z.ZodType ? z.output<S> : never

class Reader {
  private readonly source: ScenarioSource
  private readonly problems: Problem[]
  private readonly names: Names
  private readonly top: Readonly<Record<string, unknown>>

  constructor(source: ScenarioSource, problems: Problem[]) {
    this.source = source
    this.problems = problems
    this.names = new Names(source, (problem) => problems.push(problem))
    this.top = isRecord(source.value) ? source.value : {}
    if (!isRecord(source.value) && problems.length === 0) {
      this.complain([], 'WRONG_TYPE', 'expected a scenario: keys and values')
    }
  }

  scenario(): Scenario {
    this.unknownKeys()
    this.names.declare('snapshot', CRASH_SNAPSHOT, ['panic_on_oops'])
    const profile = this.section('profile') ?? DEFAULT_PROFILE
    if (findProfile(profile) === undefined) {
      const known = profiles.map((p) => p.name)
      this.complain(['profile'], 'UNKNOWN_NAME', unknownName('profile', profile, known))
    }
    const parts = {
      source: this.source,
      title: this.section('title') ?? '',
      notes: this.section('notes') ?? '',
      profile,
      cpus: this.section('cpus') ?? DEFAULTS.cpus,
      memoryBytes: this.section('memory') ?? DEFAULTS.memory,
      seed: String(this.section('seed') ?? DEFAULTS.seed),
      clock: this.section('clock') ?? {},
      hostname: this.section('hostname') ?? DEFAULTS.hostname,
      panicOnOops: this.section('panic_on_oops') ?? false,
      exports: this.section('exports') ?? [],
      symbols: this.section('symbols') ?? {},
      moduleFiles: this.section('module_files') ?? [],
      moduleAddresses: this.section('module_addresses') ?? {},
      devices: this.list('devices'),
      hosts: this.list('hosts'),
      files: this.files(),
      processes: this.list('processes'),
      modules: this.list('modules'),
      probes: this.list('probes'),
    }
    checkMachine(parts, this.names, (path, code, message) => this.complain(path, code, message))
    for (const [i, probe] of parts.probes.entries())
      this.names.declare('probe', probeName(probe), ['probes', i])
    const steps = this.steps()
    const linearMap = findProfile(profile)?.wordSize === 4 ? LINEAR_MAP_32 : LINEAR_MAP_64
    checkPins(allPins({ ...parts, steps }), parts.memoryBytes, linearMap, (path, code, message) =>
      this.complain(path, code, message),
    )
    const golden = this.list('golden')
    golden.forEach(({ at }, i) => {
      if (at !== undefined) this.names.use('snapshot', at, ['golden', i, 'at'])
    })
    return { ...parts, golden, steps, expect: this.expect(parts.cpus) }
  }

  private unknownKeys(): void {
    const known = [...Object.keys(sections), ...Object.keys(listSections), 'files', 'steps', 'expect']
    for (const key of Object.keys(this.top)) {
      if (known.includes(key)) continue
      const position = this.source.locateKey([key])
      this.problems.push({ code: 'UNKNOWN_KEY', message: unknownName('key', key, known), position })
    }
  }

  private complain(path: Path, code: ProblemCode, message: string): void {
    this.problems.push(this.source.at(path, code, message))
  }

  private check<S extends z.ZodType>(schema: S, value: unknown, path: Path): z.output<S> | undefined {
    const result = schema.safeParse(value, { reportInput: true })
    if (result.success) return result.data
    this.problems.push(...issueProblems(this.source, path, result.error.issues))
    return undefined
  }

  private section<K extends keyof typeof sections>(key: K): Output<(typeof sections)[K]> | undefined {
    const value = this.top[key]
    if (value === undefined) return undefined
    return this.check(sections[key] as z.ZodType, value, [key]) as Output<(typeof sections)[K]> | undefined
  }

  /** Items that are well-formed; the others are problems. */
  private list<K extends keyof typeof listSections>(key: K): Output<(typeof listSections)[K]>[] {
    return this.items(key).flatMap((item, i) => {
      const value = this.check(listSections[key] as z.ZodType, item, [key, i])
      return value === undefined ? [] : [value as Output<(typeof listSections)[K]>]
    })
  }

  private items(key: string): readonly unknown[] {
    const value = this.top[key]
    if (value === undefined || value === null) return []
    if (Array.isArray(value)) return value
    this.complain([key], 'WRONG_TYPE', 'expected a list')
    return []
  }

  private files(): Map<string, FileSpec> {
    const files = new Map<string, FileSpec>()
    const given = this.top['files'] ?? {}
    if (!isRecord(given)) {
      this.complain(['files'], 'WRONG_TYPE', 'expected paths, each with what lies there')
      return files
    }
    for (const [key, value] of Object.entries(given)) {
      if (!pathSchema.safeParse(key).success)
        this.complain(['files', key], 'BAD_VALUE', 'expected an absolute path')
      const file = this.check(fileSchema, value ?? {}, ['files', key])
      if (file !== undefined) files.set(key, file)
    }
    return files
  }

  private steps(): ScenarioStep[] {
    const items = this.items('steps')
    if (items.length > STEPS_MAX) this.complain(['steps'], 'BAD_VALUE', `more than ${STEPS_MAX} steps`)
    return items.slice(0, STEPS_MAX).flatMap((item, i) => this.step(item, ['steps', i]) ?? [])
  }

  private step(item: unknown, path: Path): ScenarioStep | undefined {
    if (!isRecord(item)) {
      this.complain(path, 'WRONG_TYPE', 'expected a step, such as `wait: 1s`')
      return undefined
    }
    const known = allSteps.map((step) => step.name)
    const own = Object.keys(item).filter((key) => !(key in stepFields))
    const named = own.filter((key) => known.includes(key))
    for (const key of own.filter((k) => !known.includes(k))) {
      const message = unknownName(named.length === 0 ? 'step' : 'key', key, [
        ...known,
        ...Object.keys(stepFields),
      ])
      const position = this.source.locateKey([...path, key])
      this.problems.push({ code: named.length === 0 ? 'UNKNOWN_NAME' : 'UNKNOWN_KEY', message, position })
    }
    if (own.length === 0) this.complain(path, 'MISSING_KEY', `no step here: one of ${known.join(', ')}`)
    if (named.length > 1) this.complain(path, 'BAD_VALUE', `two steps in one: ${named.join(' and ')}`)
    const common = this.common(item, path)
    const definition = allSteps.find((step) => step.name === named[0])
    if (definition === undefined) return undefined
    const here = [...path, definition.name]
    const params = this.check(definition.params, item[definition.name], here)
    if (params === undefined) return undefined
    definition.check?.(params, this.names.under(here))
    return { definition, params, ...common, path }
  }

  private common(item: Readonly<Record<string, unknown>>, path: Path) {
    const field = <K extends keyof typeof stepFields>(key: K): Output<(typeof stepFields)[K]> | undefined =>
      item[key] === undefined
        ? undefined
        : (this.check(stepFields[key] as z.ZodType, item[key], [...path, key]) as
            Output<(typeof stepFields)[K]> | undefined)
    return {
      at: field('at'),
      until: field('until'),
      pins: field('pins') ?? [],
      log_times: field('log_times') ?? [],
      notes: field('notes'),
    }
  }

  private expect(cpus: number): Scenario['expect'][number][] {
    return this.items('expect').flatMap((item, i) => {
      const path = ['expect', i]
      const kind = isRecord(item) ? expectationKind(item) : undefined
      if (kind === undefined) {
        const kinds = Object.keys(expectations).join(', ')
        this.complain(path, 'MISSING_KEY', `expected one of ${kinds}`)
        return []
      }
      const value = this.check(expectations[kind] as z.ZodType, item, path) as Expectation | undefined
      if (value === undefined) return []
      checkExpectation(value, path, this.names, cpus, (at, code, message) => this.complain(at, code, message))
      return [{ kind, value, path }]
    })
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
