/** A recording against its golden record: the story as a unified diff, memory by object, member and writer. */

import { createTwoFilesPatch } from 'diff'
import type { CValue } from '../btf/value.ts'
import { strip } from '../btf/type.ts'
import { changeLines, memberChanges, stepLines, type MemberChange } from '../explain/diff/objects.ts'
import type { Target } from '../target/target.ts'
import type { Golden, KeptObject, KeptSnapshot } from './golden.ts'
import { namedObjects, type NamedObject } from './objects.ts'

/** One object that is not as it was, at the first snapshot where it is not. */
export interface ObjectDifference {
  readonly snapshot: string
  readonly object: string
  readonly type: string
  /** `changed`: in these members; `new`: it was not there; `gone`: it was */
  readonly kind: 'changed' | 'new' | 'gone'
  readonly members: readonly MemberChange[]
}

export interface Difference {
  /** of the story; empty when it is the same */
  readonly patch: string
  readonly objects: readonly ObjectDifference[]
}

/** The objects of each snapshot, as a record keeps them: what changed since the one before. */
export function keptSnapshots(target: Target): KeptSnapshot[] {
  let before = new Map<string, NamedObject>()
  return target.snapshots.map(({ name }) => {
    const now = namedObjects(target.at(name))
    const objects = [...now.values()]
      .filter((one) => !same(before.get(one.name)?.bytes, one.bytes))
      .map(({ name: object, typeName, bytes }) => ({ name: object, type: typeName, bytes }))
    const gone = [...before.keys()].filter((object) => !now.has(object))
    before = now
    return { name, objects, gone }
  })
}

const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && a.length === b.length && Buffer.compare(a, b) === 0

/** @param name  of the scenario, for the patch's heading */
export function compare(name: string, golden: Golden, text: string, target: Target): Difference | undefined {
  if (golden.text === text) return undefined
  const patch = createTwoFilesPatch(`${name} (golden)`, `${name} (now)`, golden.text, text, '', '', {
    context: 2,
  })
  return { patch, objects: [...differingObjects(golden.snapshots, target)] }
}

/** Told once for each object: where it is different from its record, and was not yet at the snapshot before. */
function* differingObjects(kept: readonly KeptSnapshot[], target: Target): Generator<ObjectDifference> {
  const golden = new Map<string, KeptObject>()
  const told = new Set<string>()
  const there = new Set(target.snapshots.map(({ name }) => name))
  for (const { name: snapshot, objects, gone } of kept) {
    for (const object of gone) golden.delete(object)
    for (const object of objects) golden.set(object.name, object)
    if (!there.has(snapshot)) continue
    const now = target.at(snapshot)
    const found = namedObjects(now)
    for (const difference of atSnapshot(snapshot, golden, found, now)) {
      if (told.has(difference.object)) continue
      told.add(difference.object)
      yield difference
    }
  }
}

function* atSnapshot(
  snapshot: string,
  golden: ReadonlyMap<string, KeptObject>,
  found: ReadonlyMap<string, NamedObject>,
  target: Target,
): Generator<ObjectDifference> {
  for (const { name: object, type, bytes } of golden.values()) {
    const now = found.get(object)
    if (now === undefined) {
      yield { snapshot, object, type, kind: 'gone', members: [] }
      continue
    }
    if (same(bytes, now.bytes)) continue
    const members = memberChanges(target, { ...now, bytes }, now, (_leaf, was, is) =>
      onlyMoved(target, was, is),
    )
    if (members.length > 0) yield { snapshot, object, type, kind: 'changed', members }
  }
  for (const { name: object, typeName: type } of found.values()) {
    if (!golden.has(object)) yield { snapshot, object, type, kind: 'new', members: [] }
  }
}

/** Two addresses of allocated memory: where an object lies is not what the record is about. */
function onlyMoved(target: Target, was: CValue, is: CValue): boolean {
  if (strip(is.type).kind !== 'ptr') return false
  const [a, b] = [was.integer(), is.integer()]
  return isHeap(target, a) && isHeap(target, b)
}

const isHeap = (target: Target, address: bigint): boolean =>
  address >= BigInt.asUintN(target.wordSize * 8, BigInt(target.pageOffset)) &&
  target.symbolize(address) === undefined

/** Objects shown of one scenario, and members of one object. */
const OBJECTS_SHOWN = 12
const MEMBERS_SHOWN = 16

/** A difference for people: memory first, because it tells who did it. */
export function differenceText({ patch, objects }: Difference): string {
  const lines = objects
    .slice(0, OBJECTS_SHOWN)
    .flatMap(({ snapshot, object, type, kind, members }) => [
      `${object} (${type}) ${kind === 'changed' ? 'differs' : kind === 'new' ? 'is new' : 'is gone'} at ${snapshot}`,
      ...changeLines(members, MEMBERS_SHOWN),
    ])
  const memory = /^[-+] {2}\S+ \d+ pages changed, memory /m.test(patch)
  if (memory && objects.length === 0)
    lines.push('memory differs, but in no object the golden record keeps: coredrill diff tells more')
  if (objects.length > OBJECTS_SHOWN) lines.push(`… and ${objects.length - OBJECTS_SHOWN} more objects`)
  lines.push(...stepLines(objects.flatMap(({ members }) => members.map(({ writer }) => writer))))
  return `${lines.join('\n')}${lines.length > 0 ? '\n' : ''}${patch}`
}
