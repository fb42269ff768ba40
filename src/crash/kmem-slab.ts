/** `kmem -s` and `kmem -S`: slab caches by name or by the address of one of their objects. */

import { toVa } from '../base/addr.ts'
import type { StructRef } from '../btf/ref.ts'
import { cache_name, cache_row, for_each_cache, has_slub } from '../helpers/slab.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import { Guarded } from './guarded.ts'
import { slabAnswer } from './kmem-address.ts'
import { cacheHeader, cacheLine, cacheText, ignoredLine } from './slab-text.ts'

export interface CacheOptions {
  /** with slabs and objects */
  readonly whole: boolean
  /** names of caches to leave out */
  readonly ignored?: readonly string[] | undefined
  /** slabs of these CPUs only */
  readonly cpus?: readonly number[] | undefined
}

export function cachesReport(
  target: Target,
  words: readonly string[],
  { whole, ignored, cpus }: CacheOptions,
  note: (line: string) => void,
): Report {
  if (!has_slub(target)) {
    note('-s option not supported or applicable on this architecture or kernel')
    return { rows: [], text: '', failed: true }
  }
  const rows: object[] = []
  const guarded = new Guarded()
  const one = (cache: StructRef, header: boolean): string => {
    if (ignored?.includes(cache_name(cache)) === true) {
      return `${header ? cacheHeader(target) : ''}${ignoredLine(target, cache)}`
    }
    if (whole) {
      const { row, text } = cacheText(target, cache, cpus)
      rows.push(row)
      return text
    }
    const row = cache_row(target, cache)
    rows.push(row)
    return `${header ? cacheHeader(target) : ''}${cacheLine(target, row)}`
  }
  const all = function* (): Generator<string> {
    let header = true
    for (const cache of for_each_cache(target)) {
      yield* guarded.part(() => [one(cache, header)])
      header = false
    }
  }
  const named = function* (word: string): Generator<string> {
    const found = [...for_each_cache(target)].filter((cache) => cache_name(cache) === word)
    for (const cache of found) yield one(cache, true)
    if (found.length > 0) return
    const answer = addressOf(target, word)
    if (answer !== undefined) {
      rows.push(answer.row)
      yield answer.text
      return
    }
    guarded.failed = true
    note(`invalid kmem_cache name or address: ${word}`)
  }
  const text = function* (): Generator<string> {
    if (words.length === 0) yield* guarded.part(all)
    else for (const word of words) yield* guarded.part(() => named(word))
  }
  return { rows, text: text(), get failed() { return guarded.failed } } // prettier-ignore
}

function addressOf(target: Target, word: string): ReturnType<typeof slabAnswer> {
  const digits = word.replace(/^0x/i, '')
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return undefined
  return slabAnswer(target, toVa(BigInt(`0x${digits}`), target.wordSize))
}
