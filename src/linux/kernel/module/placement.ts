/**
 * Where a module's sections go: text, read-only data, data with `struct module` in it, .bss, symbol table — each
 * kind of protection on pages of its own, the init text in an area that is given back.
 *
 * @see kernel/module/main.c:layout_sections, move_module
 */

import type { Va } from '../../../base/addr.ts'
import { align } from '../../../base/addr.ts'
import { PAGE_SIZE } from '../../../abi/page.ts'
import { ORC_ROWS_PER_FUNCTION } from '../../arch/x86/kernel/orc.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { module_alloc } from '../../mm/vmalloc.ts'
import { since } from '../../version.ts'
import type { ModuleDefinition, ModuleFunction, ModuleVariable, ParamType } from './api.ts'
import { symtabBytes, type ModuleSymbol } from './kallsyms.ts'

/** Numbers of the sections in the module's file, as its symbols name them. */
const SECTION = { text: 1, init: 2, exit: 3, param: 6, data: 8, thisModule: 10, bss: 11 } as const
const TEXT_ALIGN = 16

/** Where modules are to lie, by name: for machines that repeat what a real one has shown. */
export const moduleAddresses = perKernel(() => new Map<string, Va>())

export interface Area {
  readonly base: Va
  readonly size: number
  readonly textSize: number
  readonly roSize: number
}

export interface Placement {
  readonly core: Area
  readonly init: Area | undefined
  /** Of `struct module`. */
  readonly mod: Va
  /** Of the `struct kernel_param` array; 0 without parameters. */
  readonly kp: Va
  /** Of `.orc_unwind_ip` and `.orc_unwind`; 0 where stacks are walked by frame pointers. */
  readonly orcIp: Va
  readonly orc: Va
  readonly symtab: Va
  readonly initSymtab: Va
  readonly symbols: readonly ModuleSymbol[]
  readonly initSymbols: readonly ModuleSymbol[]
  readonly functions: ReadonlyMap<ModuleFunction, { readonly va: Va; readonly size: number }>
  readonly strings: ReadonlyMap<string, Va>
}

/** Bytes of a parameter's variable. */
export function paramSize(k: Kernel, type: ParamType): number {
  if (type === 'bool' || type === 'byte') return 1
  if (type === 'short' || type === 'ushort') return 2
  return type === 'int' || type === 'uint' ? 4 : k.mem.wordSize
}

/** Text of a function: there are no instructions, so its length comes from its name, unless the definition says. */
function textBytes(name: string, { textSizes }: ModuleDefinition): number {
  const given = textSizes?.[name]
  if (given !== undefined) return given
  let h = 0
  for (const c of name) h = (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0
  return TEXT_ALIGN * (4 + (h % 24))
}

/** Offsets first; addresses once the areas are allocated. */
interface Sheet {
  readonly symbols: { name: string; offset: number; size: number; type: string; section: number }[]
  used: number
}

const put = (sheet: Sheet, name: string, size: number, to: number, type: string, section: number): number => {
  const offset = align(sheet.used, to)
  sheet.symbols.push({ name, offset, size, type, section })
  sheet.used = offset + size
  return offset
}

/** Lay the definition out and allocate its areas. */
export function layout_and_allocate(k: Kernel, definition: ModuleDefinition): Placement {
  const exported = new Set(definition.exports ?? [])
  const letterOf = (name: string, kind: string): string => (exported.has(name) ? kind.toUpperCase() : kind)
  const sheet: Sheet = { symbols: [], used: 0 }
  const offsets = new Map<ModuleFunction, number>()
  for (const f of definition.functions ?? []) {
    const { name } = f.kfunc
    offsets.set(
      f,
      put(sheet, name, textBytes(name, definition), TEXT_ALIGN, letterOf(name, 't'), SECTION.text),
    )
  }
  if (definition.exit !== undefined) {
    const { name } = definition.exit.kfunc
    const at = put(sheet, name, textBytes(name, definition), TEXT_ALIGN, 't', SECTION.exit)
    offsets.set(definition.exit, at)
    sheet.symbols.push({
      name: 'cleanup_module',
      offset: at,
      size: textBytes(name, definition),
      type: 'T',
      section: SECTION.exit,
    })
  }
  const textSize = pages(sheet.used)

  sheet.used = textSize
  const strings = new Map<string, number>()
  for (const text of stringsOf(definition)) {
    strings.set(text, sheet.used)
    sheet.used += text.length + 1
  }
  const params = definition.params ?? []
  const paramBytes = k.types.sizeof('kernel_param')
  const kp = align(sheet.used, 8)
  sheet.used = kp + params.length * paramBytes
  params.forEach(({ name }, i) => {
    const symbol = { name: `__param_${name}`, offset: kp + i * paramBytes, size: paramBytes, type: 'r' }
    sheet.symbols.push({ ...symbol, section: SECTION.param })
  })
  const orc = layoutOrc(k, definition, sheet)
  const roSize = pages(sheet.used)

  sheet.used = roSize
  const variables = variablesOf(k, definition)
  for (const v of variables.filter(({ initial }) => initial !== undefined))
    put(sheet, v.name, v.size, v.align ?? 8, letterOf(v.name, 'd'), SECTION.data)
  const mod = put(sheet, '__this_module', k.types.sizeof('module'), 64, 'd', SECTION.thisModule)
  for (const v of variables.filter(({ initial }) => initial === undefined))
    put(sheet, v.name, v.size, v.align ?? 8, letterOf(v.name, 'b'), SECTION.bss)
  const symtab = pages(sheet.used)

  const named = sheet.symbols.map(({ offset, ...rest }) => ({ ...rest, va: offset }))
  const used = symtab + symtabBytes(k, named)
  const base = module_alloc(k, pages(used), moduleAddresses(k).get(definition.name))
  const symbols = named.map((symbol) => ({ ...symbol, va: base + symbol.va }))
  const functions = new Map(
    [...offsets].map(([f, at]) => [f, { va: base + at, size: textBytes(f.kfunc.name, definition) }]),
  )
  const init = placeInit(k, definition, symbols, functions)
  return {
    core: { base, size: coreSize(k, definition, used), textSize, roSize },
    init: init.area,
    mod: base + mod,
    kp: params.length === 0 ? 0 : base + kp,
    orcIp: orc === undefined ? 0 : base + orc.ips,
    orc: orc === undefined ? 0 : base + orc.table,
    symtab: base + symtab,
    initSymtab: init.symtab,
    symbols,
    initSymbols: init.symbols,
    functions,
    strings: new Map([...strings].map(([text, at]) => [text, base + at])),
  }
}

/** Whole pages; before 4.5 to the byte, as the definition has it when there is a real one to go by. */
function coreSize(k: Kernel, { coreBytes }: ModuleDefinition, used: number): number {
  return since(k, 4, 5) ? pages(used) : (coreBytes ?? used)
}

/** Room for the unwind tables, as many rows as the functions can have. */
function layoutOrc(
  k: Kernel,
  { functions = [], init, exit }: ModuleDefinition,
  sheet: Sheet,
): { ips: number; table: number } | undefined {
  if (k.profile.unwinder !== 'orc') return undefined
  const count = functions.length + Number(init !== undefined) + Number(exit !== undefined)
  const rows = count * ORC_ROWS_PER_FUNCTION
  const ips = align(sheet.used, 4)
  const table = align(ips + rows * 4, 2)
  sheet.used = table + rows * k.types.sizeof('orc_entry')
  return { ips, table }
}

const pages = (bytes: number): number => align(bytes, PAGE_SIZE)

/** The init text and the whole file's symbols, in an area of their own. */
function placeInit(
  k: Kernel,
  definition: ModuleDefinition,
  core: readonly ModuleSymbol[],
  functions: Map<ModuleFunction, { va: Va; size: number }>,
): { area: Area | undefined; symtab: Va; symbols: readonly ModuleSymbol[] } {
  const { init } = definition
  if (init === undefined) return { area: undefined, symtab: 0, symbols: [] }
  const { name } = init.kfunc
  const size = textBytes(name, definition)
  const textSize = pages(size)
  const own = (va: Va): ModuleSymbol[] => [
    { name, va, size, type: 't', section: SECTION.init },
    { name: 'init_module', va, size, type: 'T', section: SECTION.init },
  ]
  const tableBytes = k.types.sizeof('mod_kallsyms')
  const total = pages(textSize + tableBytes + symtabBytes(k, [...own(0), ...core]))
  const base = module_alloc(k, total)
  functions.set(init, { va: base, size })
  const area = { base, size: total, textSize, roSize: textSize }
  return { area, symtab: base + textSize, symbols: [...own(base), ...core] }
}

/** Strings that lie in memory: the definition's, its parameters' names and defaults. */
function stringsOf(definition: ModuleDefinition): Set<string> {
  const params = definition.params ?? []
  const defaults = params.flatMap(({ value }) => (typeof value === 'string' ? [value] : []))
  return new Set([...(definition.strings ?? []), ...params.map(({ name }) => name), ...defaults])
}

/** The definition's variables and those of its parameters. */
function variablesOf(k: Kernel, definition: ModuleDefinition): ModuleVariable[] {
  const params = (definition.params ?? []).flatMap(({ name, type, value, array }): ModuleVariable[] => {
    const size = paramSize(k, type)
    if (array !== undefined) return arrayVariables(k, name, size, array)
    const plain = value === undefined || value === 0
    return [plain ? { name, size, align: size } : { name, size, align: size, initial: new Uint8Array(size) }]
  })
  return [...params, ...(definition.variables ?? [])]
}

const arrayVariables = (k: Kernel, name: string, size: number, max: number): ModuleVariable[] => {
  const bytes = k.types.sizeof('kparam_array')
  return [
    { name, size: size * max, align: size },
    { name: `__param_arr_${name}`, size: bytes, align: 8, initial: new Uint8Array(bytes) },
  ]
}
