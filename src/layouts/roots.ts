/** The list of wanted types, `roots.txt`: lines of a kind and names. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InvariantError } from '../base/errors.ts'
import type { ClosureRoots } from '../btf/closure.ts'
import type { TypeKind } from '../btf/type.ts'
import { layoutPath } from './layout.ts'

/** Raw BTF bytes a layout may have; roots are shipped whole even beyond it. */
export const BTF_BUDGET = 700_000

const KINDS: Readonly<Record<string, TypeKind>> = {
  struct: 'struct',
  union: 'union',
  typedef: 'typedef',
  enum: 'enum',
  percpu: 'var',
  func: 'func',
}

/** Read the text of a list. @throws InvariantError on a line that begins with no kind */
export function parseRoots(text: string): ClosureRoots {
  const named = new Map<string, { kind: TypeKind; name: string }>()
  const enumerators: string[] = []
  for (const line of text.split('\n')) {
    const [word = '', ...names] = line.replace(/#.*/, '').split(/\s+/).filter((part) => part !== '') // prettier-ignore
    if (word === '') continue
    const kind = KINDS[word]
    if (word === 'enumerator') enumerators.push(...names)
    else if (kind === undefined) throw new InvariantError(`roots.txt: ${word} is no kind of root`)
    else for (const name of names) named.set(`${kind} ${name}`, { kind, name })
  }
  return { named: [...named.values()], enumerators }
}

/** The list as it stands beside the layouts. */
export function loadRoots(): ClosureRoots {
  return parseRoots(readFileSync(join(dirname(layoutPath('linux-6.1.192-x86_64')), 'roots.txt'), 'utf8'))
}
