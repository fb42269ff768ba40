/** What a pane can show the memory of: a typed place with a name, and where pointers without a type lead. */

import { hex, toAddr, type Va } from '../base/addr.ts'
import { LookupError } from '../base/errors.ts'
import { isDamage } from '../crash/fault-mark.ts'
import { typeName } from '../btf/declare.ts'
import type { StructRef } from '../btf/ref.ts'
import { isStruct, strip, type StructType, type Type } from '../btf/type.ts'
import { placeOfSlab } from '../explain/place.ts'
import { S_ISSOCK, file_inode } from '../helpers/fs.ts'
import type { Target } from '../target/target.ts'

/** A place in memory as a type. */
export interface Subject {
  /** its crumb: `file`, `socket`, `sk` */
  readonly label: string
  /** undefined: bytes without a type */
  readonly type: Type | undefined
  readonly va: Va
}

export function subjectOf(ref: StructRef, label: string): Subject {
  return { label, type: ref.$type, va: ref.$va }
}

/** `struct sock ffff888007a4e040`. */
export function subjectText({ type, va }: Subject): string {
  return `${type === undefined ? 'memory at' : typeName(type)} ${Number.isNaN(va) ? '?' : hex(toAddr(va))}`
}

/** What a pointer member leads to. */
export interface Behind {
  readonly type: Type
  /** how the step is called */
  readonly label: string
}

/**
 * The type behind a pointer: the declared one; behind a `void *` what the kernel keeps there.
 *
 * @param of  the struct the pointer is a member of, and where that lies
 * @param member  the member's name
 * @param to  where it points
 */
export function behindPointer(
  target: Target,
  of: { readonly type: StructType; readonly va: Va } | undefined,
  member: string,
  pointed: Type,
  to: Va,
): Behind | undefined {
  const declared = strip(pointed)
  if (declared.kind !== 'void') {
    return declared.kind === 'func_proto' || declared.kind === 'fwd'
      ? undefined
      : { type: declared, label: member }
  }
  if (of?.type.name === 'file' && member === 'private_data' && isSocketFile(target, of)) {
    return { type: target.types.struct('socket'), label: 'socket' }
  }
  const object = objectAt(target, to)
  return object?.offset === 0 ? { type: object.type, label: object.type.name } : undefined
}

function isSocketFile(target: Target, { type, va }: { type: StructType; va: Va }): boolean {
  const inode = attempt(() => file_inode(target.types.refTo(type, target.mem, va)))
  return inode !== undefined && inode !== null && attempt(() => S_ISSOCK(inode)) === true
}

/** Read what may be damaged. @returns undefined where it is */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isDamage(error) || error instanceof LookupError) return undefined
    throw error
  }
}

/** The object of a slab cache an address lies in, where its type is known. Looks at no task. */
export function objectAt(
  target: Target,
  va: Va,
): { readonly type: StructType; readonly va: Va; readonly offset: number } | undefined {
  if (Number.isNaN(va) || va === 0) return undefined
  const place = attempt(() => placeOfSlab(target, va, 1))
  if (place === undefined) return undefined
  const type = target.types.findStruct(place.object)
  return type === undefined || !isStruct(type)
    ? undefined
    : { type, va: va - place.offset, offset: place.offset }
}

/** Where an address leads: the object or variable around it, else bytes. */
export function subjectAt(target: Target, va: Va): Subject {
  const object = objectAt(target, va)
  if (object !== undefined) return { label: object.type.name, type: object.type, va: object.va }
  const hit = target.symbolize(va)
  if (hit === undefined) return { label: hex(toAddr(va)), type: undefined, va }
  return { label: hit.name, type: target.typeOf(hit.name), va: va - hit.offset }
}
