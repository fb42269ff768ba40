/**
 * The kernel's text as addresses: how long each function is, where a call returns to. There are no
 * instructions in the image; what a stack, a trace or an unwinder sees of them is here.
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import type { LayoutSymbol } from '../../../../layouts/layout.ts'
import type { Profile } from '../../../profile.ts'
import type { Kernel } from '../../../kernel.ts'
import type { KFunctionInfo } from '../../../kfunc.ts'
import { perKernel } from '../../../kernel.ts'

/** Bytes of prologue: a call never returns into them. */
export const PROLOGUE = 5

/** Sizes of symbols by address, filled at boot and by the module loader. */
export const textSizes = perKernel(() => new Map<Va, number>())

/**
 * The layout's symbols as this profile has them: functions whose size differs move to where there is room,
 * so that the next symbol still says how long they are; functions the layout has not are put there too.
 */
export function symbolsOf(symbols: readonly LayoutSymbol[], profile: Profile): readonly LayoutSymbol[] {
  let made = resizedSymbols.get(profile)
  if (made === undefined) {
    made = resize(symbols, profile)
    resizedSymbols.set(profile, made)
  }
  return made
}

const resizedSymbols = new WeakMap<Profile, readonly LayoutSymbol[]>()

function resize(symbols: readonly LayoutSymbol[], profile: Profile): readonly LayoutSymbol[] {
  const resized = Object.entries(profile.functionSizes)
  if (resized.length === 0) return symbols
  const kept = symbols.filter(({ name }) => !(name in profile.functionSizes))
  const taken = new Set<number>()
  for (const [name, size] of resized) {
    // a function the layout's kernel has inlined is put where there is room, too
    const original = symbols.find((symbol) => symbol.name === name) ?? newSymbol(symbols, name)
    // a filler marks the end of its neighbour: behind it lies text nobody asked for
    const index = kept.findIndex((s, i) => {
      const next = kept[i + 1]
      if (!s.filler || taken.has(i) || !/^[tT]$/.test(s.type) || next === undefined) return false
      return s.address > original.address && next.address - s.address > BigInt(size + 64)
    })
    const next = kept[index + 1]
    if (index < 0 || next === undefined) continue
    taken.add(index)
    kept.push({ ...original, address: next.address - BigInt(size), size })
  }
  return kept.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))
}

/** A static function of the kernel's text. */
function newSymbol(symbols: readonly LayoutSymbol[], name: string): LayoutSymbol {
  const start = symbols.find((symbol) => symbol.name === '_stext')?.address ?? 0n
  return { name, address: start, type: 't', size: 0, filler: false }
}

/** Bytes of a function; 64 when nothing tells. */
export function functionSize(k: Kernel, start: Va): number {
  return textSizes(k).get(start) ?? 64
}

/**
 * Where a call of `callee` in `caller` returns to: the profile's offset when it gives one, else an offset that
 * is the same in every run.
 */
export function returnAddress(k: Kernel, caller: KFunctionInfo, callee: KFunctionInfo): bigint {
  const start = k.textIfAny(caller)
  if (start === undefined) return 0n
  return start + BigInt(returnOffset(k, caller, callee.name, functionSize(k, toVa(start, k.mem.wordSize))))
}

export function returnOffset(k: Kernel, caller: KFunctionInfo, callee: string, size: number): number {
  const known = k.profile.returnOffsets[`${caller.name}>${callee}`]
  if (known !== undefined) return known
  let h = caller.id
  for (const c of callee) h = (Math.imul(h, 33) ^ c.charCodeAt(0)) >>> 0
  const room = Math.max(1, size - PROLOGUE - 6)
  return Math.min(size - 1, PROLOGUE + 5 + (h % room))
}
