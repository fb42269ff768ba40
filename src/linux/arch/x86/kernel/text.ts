/**
 * The kernel's text as addresses: how long each function is, where a call returns to. There are no
 * instructions in the image; what a stack, a trace or an unwinder sees of them is here.
 */

import { toVa, type Va } from '../../../../base/addr.ts'
import { i386Handler, i386LaterCalls, NUMA_CALLS } from '../../../../abi/syscalls-i386.ts'
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
 * so that the next symbol still says how long they are; functions and tables the layout has not are put there too.
 */
export function symbolsOf(symbols: readonly LayoutSymbol[], profile: Profile): readonly LayoutSymbol[] {
  let made = resizedSymbols.get(profile)
  if (made === undefined) {
    const named =
      profile.syscallDispatch === 'socketcall' ? asmlinkageNames(symbols, profile.release) : symbols
    made = resize(withBtfMarks(named), profile)
    resizedSymbols.set(profile, made)
  }
  return made
}

const resizedSymbols = new WeakMap<Profile, readonly LayoutSymbol[]>()

function resize(symbols: readonly LayoutSymbol[], profile: Profile): readonly LayoutSymbol[] {
  const resized = Object.entries(profile.functionSizes)
  const absent = new Set(profile.absent ?? [])
  const kept = symbols.filter(({ name }) => !(name in profile.functionSizes) && !absent.has(name))
  const functions = resized.map(([name, size]) => {
    // a function the layout's kernel has inlined is put where there is room, too
    const original = symbols.find((symbol) => symbol.name === name) ?? newSymbol(symbols, name)
    return { ...original, size }
  })
  return withObjects(placeAll(kept, functions, /^[tT]$/, 1), profile.objects ?? {})
}

/** Read-only tables the layout has not, where there is room. */
function withObjects(
  symbols: readonly LayoutSymbol[],
  objects: Readonly<Record<string, number>>,
): readonly LayoutSymbol[] {
  const address = symbols.find(({ name }) => name === '__start_rodata')?.address ?? 0n
  const made = Object.entries(objects).map(([name, size]): LayoutSymbol => {
    return { name, address, type: name.startsWith('__k') ? 'r' : 'R', size, filler: false }
  })
  return placeAll(symbols, made, /^[rRdD]$/, 32)
}

/** What EXPORT_SYMBOL adds for each name: an entry of the table of exports, and the name as a string. */
export const withExports = (
  symbols: readonly LayoutSymbol[],
  names: readonly string[],
): readonly LayoutSymbol[] =>
  withObjects(
    symbols,
    Object.fromEntries(
      names.flatMap((name) => [
        [`__ksymtab_${name}`, 12],
        [`__kstrtab_${name}`, name.length + 1],
      ]),
    ),
  )

/** Put each symbol before another one with room before it, beyond its own address. */
export function placeAll(
  symbols: readonly LayoutSymbol[],
  wanted: readonly LayoutSymbol[],
  type: RegExp,
  alignment: number,
): readonly LayoutSymbol[] {
  if (wanted.length === 0) return symbols
  const placed = [...symbols]
  const taken = new Set<bigint>()
  for (const symbol of wanted) {
    const next = room(symbols, symbol.address, symbol.size, type, taken)
    if (next === undefined) continue
    taken.add(next)
    const address = next - BigInt(symbol.size)
    placed.push({ ...symbol, address: address - (address % BigInt(alignment)) })
  }
  return placed.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))
}

/**
 * A symbol with `size` bytes of room right before it, beyond `after`: a filler marks the end of its neighbour, behind it
 * lies what nobody asked for.
 */
function room(
  symbols: readonly LayoutSymbol[],
  after: bigint,
  size: number,
  type: RegExp,
  taken: ReadonlySet<bigint>,
): bigint | undefined {
  for (const [i, filler] of symbols.entries()) {
    const next = symbols[i + 1]?.address
    if (!filler.filler || !type.test(filler.type) || next === undefined || taken.has(next)) continue
    if (filler.address > after && next - filler.address > BigInt(size + 64)) return next
  }
  return undefined
}

/** Bytes of `kallsyms_token_index`: an offset of each of 256 tokens. */
const TOKEN_INDEX_BYTES = 512n

/**
 * Where the layout's kernel was built without BTF, its image gets marks for it: behind the last table of kallsyms, where
 * there were strings nobody asked for.
 */
function withBtfMarks(symbols: readonly LayoutSymbol[]): readonly LayoutSymbol[] {
  if (symbols.some(({ name }) => name === '__start_BTF')) return symbols
  const index = symbols.findIndex(({ name }) => name === 'kallsyms_token_index')
  const last = symbols[index]
  if (last === undefined) return symbols
  const start = last.address + TOKEN_INDEX_BYTES
  const stop = last.address + BigInt(last.size)
  const size = Number(stop - start)
  const marks: LayoutSymbol[] = [
    { name: '__start_BTF', address: start, type: 'R', size, filler: false },
    { name: '__stop_BTF', address: stop, type: 'R', size: 0, filler: false },
  ]
  return [...symbols.slice(0, index + 1), ...marks, ...symbols.slice(index + 1)]
}

/** Where the processor enters, by the names of the time. @see arch/x86/kernel/entry_32.S */
const ENTRIES: Readonly<Record<string, string>> = {
  entry_INT80_32: 'system_call',
  entry_SYSENTER_32: 'ia32_sysenter_target',
  asm_exc_page_fault: 'page_fault',
  exc_page_fault: 'do_page_fault',
  page_fault_oops: 'no_context',
}

/**
 * The names of system calls before 4.17: `sys_NAME` is the handler itself, and of two that differ in the width of
 * times or offsets it is the one that 32-bit programs call.
 */
function asmlinkageNames(symbols: readonly LayoutSymbol[], release: string): LayoutSymbol[] {
  const later = i386LaterCalls(release)
  const prefix = '__ia32_sys_'
  const named = symbols
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => name.slice(prefix.length))
  const replaced = new Set(named.filter((call) => i386Handler(call) !== `sys_${call}`).map(i386Handler))
  const names = new Map(symbols.map((symbol) => [symbol.name, symbol]))
  const none = names.get('sys_ni_syscall')?.address ?? 0n
  const aliases = NUMA_CALLS.map((call) => ({
    name: `sys_${call}`,
    address: none,
    type: 'W',
    size: 0,
    filler: false,
  }))
  const own = symbols.flatMap((symbol) => {
    // read-only for its linker, too
    if (symbol.name === 'sys_call_table') return [{ ...symbol, type: 'R' }]
    const entry = ENTRIES[symbol.name]
    if (entry !== undefined) return [{ ...symbol, name: entry }]
    // inlined in their wrappers then
    if (/^__(do|se)_sys_/.test(symbol.name)) return []
    if (!symbol.name.startsWith(prefix)) return [symbol]
    const call = symbol.name.slice(prefix.length)
    const name = i386Handler(call)
    const isGone =
      (name === `sys_${call}` && replaced.has(name)) ||
      later.has(name) ||
      names.has(name) ||
      aliases.some((alias) => alias.name === name)
    return isGone ? [] : [{ ...symbol, name }]
  })
  const at = own.findIndex(({ address }) => address > none)
  return [...own.slice(0, at), ...aliases, ...own.slice(at)]
}

/** A function of the kernel's text: static, unless it is a system call. */
function newSymbol(symbols: readonly LayoutSymbol[], name: string): LayoutSymbol {
  const start = symbols.find((symbol) => symbol.name === '_stext')?.address ?? 0n
  return { name, address: start, type: name.startsWith('sys_') ? 'T' : 't', size: 0, filler: false }
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
  // by name: the numbers of functions depend on which file was loaded first
  let h = 0
  for (const c of `${caller.name}>${callee}`) h = (Math.imul(h, 33) ^ c.charCodeAt(0)) >>> 0
  const room = Math.max(1, size - PROLOGUE - 6)
  return Math.min(size - 1, PROLOGUE + 5 + (h % room))
}
