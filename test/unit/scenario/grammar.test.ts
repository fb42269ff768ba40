/** What a scenario may say, and that everything wrong in one is reported at once, where it stands. */

import { describe, expect, test } from 'vitest'
import { parseScenario } from '../../../src/scenario/scenario.ts'
import { ScenarioError } from '../../../src/scenario/problem.ts'
import { steps } from '../../../src/scenario/steps/index.ts'

/** `line:column code` of every problem, or the scenario. */
function problemsOf(text: string): string[] {
  try {
    parseScenario('x.yaml', text)
    return []
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error
    return error.problems.map((p) => `${p.position.line}:${p.position.column} ${p.code}`)
  }
}

const errorOf = (text: string): ScenarioError => {
  try {
    parseScenario('x.yaml', text)
  } catch (error) {
    if (error instanceof ScenarioError) return error
    throw error
  }
  throw new Error('no problem found')
}

const NET = `devices:
  - { name: eth0, mac: 08:00:27:00:00:01, address: 192.168.56.1/24 }
hosts:
  - { name: a, address: 192.168.56.101 }
`

describe('a scenario that is right', () => {
  test('an empty one has a profile, a machine and nothing to do', () => {
    const s = parseScenario('x.yaml', 'title: nothing')
    expect(s).toMatchObject({ profile: 'debian-6.1-x86_64', cpus: 2, memoryBytes: 64 << 20, seed: '1' })
    expect(s.steps).toEqual([])
  })

  test('64-bit integers survive, as addresses with and without quotes', () => {
    const s = parseScenario(
      'x.yaml',
      `memory: 2G
steps:
  - snapshot: x
    pins: [ { cache: TCP, address: 0xffff888007a4e040 }, { cache: filp, address: ffff88800ebfa500 } ]
`,
    )
    expect(s.steps[0]?.pins.map((p) => p.address)).toEqual([0xffff888007a4e040n, 0xffff88800ebfa500n])
  })

  test.each([
    ['1.5s', 1_500_000_000],
    ['20ms', 20_000_000],
    ['3us', 3000],
    ['189346.050282s', 189346050282000],
  ])('a duration %s is exact', (text, ns) => {
    const s = parseScenario('x.yaml', `clock: { uptime: ${text} }`)
    expect(s.clock.uptime).toBe(ns)
  })

  test('anchors and aliases are followed', () => {
    const s = parseScenario(
      'x.yaml',
      `${NET}steps:\n  - connect: &c { host: a, to: 192.168.56.1:80, name: one }\n`,
    )
    expect(s.steps[0]?.params).toMatchObject({ host: 'a', to: { ip: '192.168.56.1', port: 80 } })
  })

  test('the seed may be any number or text', () => {
    expect(parseScenario('x.yaml', 'seed: 0xffffffffffffffff').seed).toBe('18446744073709551615')
    expect(parseScenario('x.yaml', 'seed: tuesday').seed).toBe('tuesday')
  })
})

describe('a scenario that is wrong', () => {
  test.each([
    ['unknown key', 'profil: debian-6.1-x86_64', ['1:1 UNKNOWN_KEY']],
    ['unknown profile', 'profile: debian-9', ['1:10 UNKNOWN_NAME']],
    ['wrong type', 'cpus: many', ['1:7 WRONG_TYPE']],
    ['out of range', 'cpus: 65', ['1:7 BAD_VALUE']],
    ['a list where keys belong', '- 1', ['1:1 WRONG_TYPE']],
    ['text where a list belongs', 'steps: soon', ['1:8 WRONG_TYPE']],
    ['not YAML', 'steps: [', ['1:9 SYNTAX']],
    ['a key twice', 'cpus: 1\ncpus: 2', ['2:1 SYNTAX']],
    ['an octal trap', 'files: { /a: { mode: 0644 } }', ['1:22 SYNTAX']],
    ['unknown step', 'steps:\n  - conect: { host: a }', ['2:5 UNKNOWN_NAME']],
    ['two steps in one', 'steps:\n  - wait: 1s\n    snapshot: x', ['2:5 BAD_VALUE']],
    ['an unknown key of a step', 'steps:\n  - wait: 1s\n    when: 1s', ['3:5 UNKNOWN_KEY']],
    ['a missing key of a step', `${NET}steps:\n  - connect: { host: a }`, ['6:14 MISSING_KEY']],
    ['an unknown host', `${NET}steps:\n  - connect: { host: b, to: 1.2.3.4:5 }`, ['6:22 UNKNOWN_NAME']],
    [
      'a bad address',
      'devices:\n  - { name: eth0, mac: 08:00:27:00:00:01, address: 192.168.56.256/24 }',
      ['2:52 BAD_VALUE'],
    ],
    [
      'a group hardware address',
      'devices:\n  - { name: e, mac: 01:00:27:00:00:01, address: 10.0.0.1/8 }',
      ['2:21 BAD_VALUE'],
    ],
    ['a host off its network', `${NET}  - { name: far, address: 10.0.0.9 }`, ['5:27 BAD_VALUE']],
    [
      'duplicate pid',
      'processes:\n  - { pid: 7, argv: [bash] }\n  - { pid: 7, argv: [bash] }',
      ['3:12 DUPLICATE'],
    ],
    ['duplicate snapshot', 'steps:\n  - snapshot: a\n  - snapshot: a', ['3:15 DUPLICATE']],
    [
      'a CPU the machine lacks',
      'cpus: 1\nprocesses:\n  - { pid: 7, argv: [bash], cpu: 1 }',
      ['3:34 BAD_VALUE'],
    ],
    ['unknown program', 'steps:\n  - run: { argv: [nocat, -l] }', ['2:19 UNKNOWN_NAME']],
    ['a port as text', `${NET}steps:\n  - listen: { host: a, port: "80" }`, ['6:30 WRONG_TYPE']],
    ['argv with a number', 'steps:\n  - run: { argv: [ncat, -l, 31337] }', ['2:29 WRONG_TYPE']],
    ['an expectation at no snapshot', 'expect:\n  - { at: end, that: "1" }', ['2:11 UNKNOWN_NAME']],
    ['an expectation of nothing', 'expect:\n  - { at: end }', ['2:5 MISSING_KEY']],
    [
      'a bad regular expression',
      'steps:\n  - snapshot: a\nexpect:\n  - { log: true, matches: "(" }',
      ['4:27 BAD_VALUE'],
    ],
    [
      'a pin outside memory',
      'steps:\n  - snapshot: a\n    pins: [ { cache: TCP, address: 0xffff888040000000 } ]',
      ['3:36 BAD_PIN'],
    ],
    [
      'a misaligned pin',
      'steps:\n  - snapshot: a\n    pins: [ { cache: TCP, address: 0xffff888000a00001 } ]',
      ['3:36 BAD_PIN'],
    ],
  ])('%s', (_title, text, expected) => {
    expect(problemsOf(text)).toEqual(expected)
  })

  test('every problem is reported in one run, with line, column and caret', () => {
    const error = errorOf(`profile: debian
cpus: none
steps:
  - conect: x
  - wait: soon
  - snapshot: a
  - snapshot: a
`)
    expect(error.problems).toHaveLength(5)
    expect(error.text).toContain(
      'x.yaml:5:11: expected a duration such as 20ms or 1.5s\n  5 |   - wait: soon\n    |           ^^^^\n',
    )
    expect(error.message).not.toContain('\n')
  })

  test('hostile input ends in one error', () => {
    expect(problemsOf('['.repeat(200_000)).length).toBeLessThan(30)
    expect(problemsOf(`title: ${'['.repeat(500)}${']'.repeat(500)}`)).toContain('1:72 SYNTAX')
    expect(problemsOf(`a: ${'x'.repeat(1 << 20)}`)).toEqual(['1:1 SYNTAX'])
    expect(problemsOf(`a: &a [ *a ]`).length).toBeGreaterThan(0)
    expect(problemsOf('__proto__: { cpus: 1 }')).toEqual(['1:1 UNKNOWN_KEY'])
  })
})

describe('steps', () => {
  test.each(steps.map((step) => [step.name, step] as const))(
    '%s is documented by a valid example',
    (_name, step) => {
      expect(step.summary).toMatch(/^[^\n]{8,80}[^.\n]$/)
      const declared = `${NET}  - { name: allowed, address: 192.168.56.102 }\nprocesses:\n  - { name: tester, pid: 9, argv: [bash] }\nprobes: ['p:inet_csk_complete_hashdance']\nsteps:\n`
      const before =
        '  - connect: { host: allowed, to: 192.168.56.1:80, name: first }\n  - run: { argv: [ncat], name: server }\n'
      const clash = ['connect', 'run', 'probe'].includes(step.name)
      const text = `${clash ? declared.replace(/probes.*\n/, '') : declared + before}  ${step.example}\n`
      expect(problemsOf(text)).toEqual([])
    },
  )
})
