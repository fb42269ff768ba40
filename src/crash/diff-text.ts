/** `diff` as a command: what changed between two snapshots, or two dumps, by object and member. */

import { DumpError } from '../base/errors.ts'
import { diffMemory, type ObjectChange } from '../explain/diff/memory.ts'
import { changeLines, stepLines } from '../explain/diff/objects.ts'
import { openTargetSync, type Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { Misuse } from './misuse.ts'

export interface DiffOptions {
  /** objects whose name has this in it */
  readonly only?: string | undefined
  /** members shown of one object */
  readonly most?: string | undefined
  /** memory without a type as well */
  readonly all?: boolean | undefined
  /** objects, not their members */
  readonly brief?: boolean | undefined
}

const MEMBERS_SHOWN = 40

/**
 * Rows: {@link ObjectChange}, by address.
 *
 * @param words  what to compare with: a snapshot of this dump, or `FILE` or `FILE@SNAPSHOT`; the snapshot before when none
 */
export function diffReport(target: Target, words: readonly string[], options: DiffOptions): Report {
  if (words.length > 1) throw new Misuse()
  const most = options.most === undefined ? MEMBERS_SHOWN : Number(options.most)
  if (!Number.isInteger(most) || most < 0) throw new Misuse(`invalid number: ${options.most}`)
  const { before, name } = beforeOf(target, words[0])
  try {
    const { pages, pagesChanged, pagesMissing, objects } = diffMemory(before, target)
    const shown = objects.filter((one) => isWanted(one, options))
    const untyped = objects.length - objects.filter(({ members }) => members.length > 0).length
    const lines = [
      `${name} -> ${target.snapshot?.name ?? target.path}: ${pagesChanged} of ${pages} pages, ${objects.length} objects differ`,
      ...shown.flatMap((one) => objectLines(one, options.brief === true ? 0 : most)),
    ]
    const writers = shown.flatMap((one) => [one.writer, ...one.members.map(({ writer }) => writer)])
    if (options.brief !== true) lines.push(...stepLines(writers))
    if (options.all !== true && untyped > 0)
      lines.push(`and ${untyped} places without a type: --all shows them`)
    if (pagesMissing > 0) lines.push(`${pagesMissing} pages are in one of the two only`)
    return { rows: shown, text: `${lines.join('\n')}\n` }
  } finally {
    if (before.container !== target.container) before.close()
  }
}

function isWanted({ object, members }: ObjectChange, { only, all }: DiffOptions): boolean {
  return (all === true || members.length > 0) && (only === undefined || object.includes(only))
}

function beforeOf(target: Target, word: string | undefined): { before: Target; name: string } {
  const { snapshots, snapshot } = target
  if (word === undefined) {
    const index = snapshots.findIndex(({ name }) => name === snapshot?.name)
    const previous = snapshots[index - 1]
    if (previous === undefined) throw new Misuse('no earlier snapshot: name what to compare with')
    return { before: target.at(previous.name), name: previous.name }
  }
  if (snapshots.some(({ name }) => name === word)) return { before: target.at(word), name: word }
  return { before: otherDump(target, word), name: word }
}

function otherDump(target: Target, word: string): Target {
  const [, path = word, at] = /^(.*?)(?:@([^@/]+))?$/.exec(word) ?? []
  try {
    const other = openTargetSync(path, at === undefined ? {} : { at })
    if (other.vmcoreinfo.release === target.vmcoreinfo.release) return other
    other.close()
    throw new DumpError('BAD_FORMAT', path, -1, `is of kernel ${other.vmcoreinfo.release}, not ${target.vmcoreinfo.release}`) // prettier-ignore
  } catch (error) {
    const unknown = error instanceof DumpError && error.code === 'UNREADABLE' && !/[./]/.test(word)
    // a word without a dot or slash was meant as a snapshot
    if (unknown && target.snapshots.length > 0) target.at(word)
    throw error
  }
}

function objectLines({ object, address, bytes, members, writer }: ObjectChange, most: number): string[] {
  const head = `${object} ${address.toString(16)}`
  if (members.length > 0) return [head, ...(most === 0 ? [] : changeLines(members, most))]
  const by = writer === undefined ? '' : `, first by ${writer.function}, step ${writer.step}`
  return [`${head}  ${bytes} byte${bytes === 1 ? '' : 's'}${by}`]
}
