/**
 * A golden record: how a scenario came out when somebody looked at it and found it right. Two files in `golden/`
 * beside the scenario: `NAME.txt`, to be read and reviewed, and `NAME.objects`, the bytes of the objects with names
 * at each snapshot, so that a difference can be told by member.
 */

import { mkdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { deflateSync, inflateSync } from 'node:zlib'
import { Packr, Unpackr } from 'msgpackr'
import { z } from 'zod'
import { DumpError } from '../base/errors.ts'
import { writeWhole } from '../vmcore/file-writer.ts'
import type { Section } from './story.ts'

/** An object as it was: bytes by its name. */
export interface KeptObject {
  readonly name: string
  readonly type: string
  readonly bytes: Uint8Array
}

export interface KeptSnapshot {
  readonly name: string
  /** those that differ from the snapshot before; names of those that are gone */
  readonly objects: readonly KeptObject[]
  readonly gone: readonly string[]
}

export interface Golden {
  readonly text: string
  readonly snapshots: readonly KeptSnapshot[]
}

const VERSION = 1
/** No record comes near it: what says so is damage. */
const UNPACKED_MAX = 256 << 20

const objectsSchema = z.object({
  version: z.literal(VERSION),
  snapshots: z
    .array(
      z.object({
        name: z.string(),
        objects: z.array(z.object({ name: z.string(), type: z.string(), bytes: z.instanceof(Uint8Array) })),
        gone: z.array(z.string()),
      }),
    )
    .max(10_000),
})

/** `scenarios/x.yaml` → `scenarios/golden/x` without its suffix. */
export const goldenBase = (scenario: string): string =>
  join(dirname(scenario), 'golden', basename(scenario).replace(/\.ya?ml$/, ''))

/** Sections as text: a heading a line with `== `, the lines below it indented. */
export function textOf(scenario: string, sections: readonly Section[]): string {
  const head = `# ${basename(scenario)} as it came out; written by \`coredrill test --update\``
  const body = sections.flatMap(({ heading, lines }) => ['', `== ${heading}`, ...lines.map((line) => `  ${line}`.trimEnd())])
  return `${[head, ...body].join('\n')}\n`
} // prettier-ignore

/** @throws DumpError when it cannot be written */
export function writeGolden(scenario: string, { text, snapshots }: Golden): void {
  const base = goldenBase(scenario)
  mkdirSync(dirname(base), { recursive: true })
  const packed = deflateSync(new Packr({ useRecords: false }).pack({ version: VERSION, snapshots }), {
    level: 9,
  })
  writeWhole(`${base}.objects`, (out) => out.write(packed))
  writeWhole(`${base}.txt`, (out) => out.write(Buffer.from(text)))
}

/**
 * @returns undefined when there is none
 * @throws DumpError BAD_FORMAT when it is damaged
 */
export function readGolden(scenario: string): Golden | undefined {
  const base = goldenBase(scenario)
  const text = readIfThere(`${base}.txt`)
  if (text === undefined) return undefined
  const packed = readIfThere(`${base}.objects`)
  return {
    text: text.toString('utf8'),
    snapshots: packed === undefined ? [] : unpack(`${base}.objects`, packed),
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function unpack(path: string, packed: Uint8Array): readonly KeptSnapshot[] {
  try {
    const unpackr = new Unpackr({ useRecords: false })
    const value: unknown = unpackr.unpack(inflateSync(packed, { maxOutputLength: UNPACKED_MAX }))
    return objectsSchema.parse(value).snapshots
  } catch {
    throw new DumpError(
      'BAD_FORMAT',
      path,
      -1,
      'not a golden record: `coredrill test --update` writes it again',
    )
  }
}
