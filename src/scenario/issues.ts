/** What zod finds wrong, in words of ours, at positions of the file. */

import type { z } from 'zod'
import type { Problem } from './problem.ts'
import type { Path, ScenarioSource } from './source.ts'

type Issue = z.core.$ZodIssue

/** Every issue of a schema as problems at its values. `base` is where the checked value stands. */
export function issueProblems(source: ScenarioSource, base: Path, issues: readonly Issue[]): Problem[] {
  return issues.flatMap((issue) => issueProblem(source, base, issue))
}

function issueProblem(source: ScenarioSource, base: Path, issue: Issue): Problem[] {
  const path = [...base, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        code: 'UNKNOWN_KEY',
        message: `unknown key ${key}`,
        position: source.locateKey([...path, key]),
      }))
    case 'invalid_union':
      return unionProblems(source, path, issue)
    case 'invalid_type':
      return typeProblem(source, base, issue, path)
    case 'invalid_value': {
      const values = issue.values.map((v) => JSON.stringify(v)).join(', ')
      if (issue.input === undefined) return missing(source, path)
      return [source.at(path, 'BAD_VALUE', `expected ${issue.values.length > 1 ? 'one of ' : ''}${values}`)]
    }
    default:
      return [source.at(path, 'BAD_VALUE', sentence(issue.message))]
  }
}

const sentence = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1)

const KIND: Readonly<Record<string, string>> = {
  bigint: 'a whole number',
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
  null: 'nothing',
  undefined: 'nothing',
}

const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return KIND[typeof value] ?? typeof value
}

function typeProblem(
  source: ScenarioSource,
  base: Path,
  issue: Issue & { code: 'invalid_type' },
  path: Path,
): Problem[] {
  if (issue.input === undefined && path.length > base.length) return missing(source, path)
  const expected = KIND[issue.expected] ?? issue.expected
  const digits = issue.expected === 'string' && typeof issue.input === 'bigint' ? ': quote it' : ''
  return [source.at(path, 'WRONG_TYPE', `expected ${expected}, found ${kindOf(issue.input)}${digits}`)]
}

const missing = (source: ScenarioSource, path: Path): Problem[] => [
  source.at(path.slice(0, -1), 'MISSING_KEY', `missing: ${String(path.at(-1))}`),
]

/** The alternative that fits best speaks; when none fits at all, their kinds are listed. */
function unionProblems(
  source: ScenarioSource,
  path: Path,
  issue: Issue & { code: 'invalid_union' },
): Problem[] {
  const inner = issue.errors.filter(
    (errors) => !errors.some((e) => e.code === 'invalid_type' && e.path.length === 0),
  )
  const best = [...inner].sort((a, b) => a.length - b.length)[0]
  if (best !== undefined) return best.flatMap((e) => issueProblem(source, path, e))
  const kinds = issue.errors
    .flat()
    .flatMap((e) => (e.code === 'invalid_type' ? [KIND[e.expected] ?? e.expected] : []))
  const wanted = [...new Set(kinds)].join(' or ')
  return [
    source.at(path, 'WRONG_TYPE', `expected ${wanted || 'something else'}, found ${kindOf(issue.input)}`),
  ]
}

/** A problem for a name nobody knows, with the likeliest meant. */
export function unknownName(what: string, given: string, known: readonly string[]): string {
  const near = nearestName(given, known)
  if (near !== undefined) return `unknown ${what} ${given}: did you mean ${near}?`
  if (known.length === 0) return `unknown ${what} ${given}: the scenario has none`
  return `unknown ${what} ${given}: known are ${known.slice(0, 24).join(', ')}`
}

/** The known name at most two edits away, if one is. */
function nearestName(given: string, known: readonly string[]): string | undefined {
  const limit = given.length < 5 ? 1 : 2
  const rated = known.map((name) => ({ name, distance: distance(given.toLowerCase(), name.toLowerCase()) }))
  return rated.filter((r) => r.distance <= limit).sort((a, b) => a.distance - b.distance)[0]?.name
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > 64) return 99
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
