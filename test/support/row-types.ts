/** The shapes of `--json` rows, as the sources declare them: found by the names in the commands' comments. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** What a value of `--json` is. */
export type Shape =
  | { readonly kind: 'word' | 'bytes' | 'number' | 'string' | 'boolean' | 'null' | 'any' }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'list' | 'map'; readonly of: Shape }
  | { readonly kind: 'union'; readonly of: readonly Shape[] }
  | { readonly kind: 'object'; readonly members: readonly Member[]; readonly rest?: Shape }
  | { readonly kind: 'named'; readonly name: string }

export interface Member {
  readonly name: string
  readonly optional: boolean
  readonly shape: Shape
  /** its comment, on one line */
  readonly meaning: string
}

/** What a command answers with some of its options. */
export interface Variant {
  /** the line of the comment, links and all */
  readonly text: string
  /** the types it names */
  readonly types: readonly string[]
}

export interface RowTypes {
  /** of each command that has a `Rows:` comment */
  readonly variants: ReadonlyMap<string, readonly Variant[]>
  /** every type the variants lead to */
  readonly shapes: ReadonlyMap<string, { readonly shape: Shape; readonly meaning: string }>
}

/** @param root  the repository */
export function readRowTypes(root: string): RowTypes {
  const folder = join(root, 'commands')
  const files = readdirSync(folder).map((file) => join(folder, file))
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
    .config as object
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root)
  return new Reader(ts.createProgram(files, options), root).read(files)
}

type Declaration = ts.InterfaceDeclaration | ts.TypeAliasDeclaration

const isExported = (node: Declaration): boolean =>
  node.modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) === true

/** Where a name is looked for first. */
const FOLDERS = [
  'commands/',
  'src/crash/',
  'src/explain/',
  'src/helpers/',
  'src/render/',
  'src/target/',
  'src/vmcore/',
]

class Reader {
  readonly #program: ts.Program
  readonly #checker: ts.TypeChecker
  readonly #named = new Map<string, Declaration[]>()
  readonly #declarations = new Map<string, Declaration>()
  readonly #shapes = new Map<string, { shape: Shape; meaning: string }>()

  constructor(program: ts.Program, root: string) {
    this.#program = program
    this.#checker = program.getTypeChecker()
    const rank = (file: ts.SourceFile): number => {
      const at = FOLDERS.findIndex((folder) => file.fileName.startsWith(join(root, folder)))
      return at < 0 ? FOLDERS.length : at
    }
    const sources = program.getSourceFiles().filter((file) => rank(file) < FOLDERS.length)
    for (const file of sources.sort((a, b) => rank(a) - rank(b))) {
      for (const node of file.statements) {
        if (!ts.isInterfaceDeclaration(node) && !ts.isTypeAliasDeclaration(node)) continue
        this.#named.set(node.name.text, [...(this.#named.get(node.name.text) ?? []), node])
      }
    }
  }

  read(files: readonly string[]): RowTypes {
    const variants = new Map<string, Variant[]>()
    for (const file of files) {
      const comment = this.#commentOf(file)
      const [, rows] = /^Rows:\s*(.*)$/s.exec(comment) ?? []
      if (rows === undefined) continue
      const lines = rows
        .split(/\n(?=- )/)
        .map((line) => line.replace(/^- /, '').replaceAll(/\s+/g, ' ').trim())
      const name = /([\w-]+)\.ts$/.exec(file)?.[1] ?? file
      variants.set(
        name,
        lines.map((text) => ({ text, types: this.#types(text) })),
      )
    }
    return { variants, shapes: this.#shapes }
  }

  #types(text: string): string[] {
    const names = [...text.matchAll(/\{@link (\w+)\}/g)].map(([, name = '']) => name)
    for (const name of names) this.#enter(name)
    return names
  }

  /** The comment above a command's class. */
  #commentOf(file: string): string {
    const source = this.#program.getSourceFile(file)
    const command = source?.statements.find(
      (node) =>
        ts.isClassDeclaration(node) && node.modifiers?.some((m) => m.kind === ts.SyntaxKind.DefaultKeyword),
    )
    const [doc] = command === undefined ? [] : ts.getJSDocCommentsAndTags(command)
    return (ts.getTextOfJSDocComment(doc?.comment) ?? '').trim()
  }

  /** @throws Error for a name the sources do not declare, or that two types of rows have */
  #enter(name: string, declared?: Declaration): void {
    const entered = this.#declarations.get(name)
    if (entered !== undefined && (declared === undefined || declared === entered)) return
    const all = this.#named.get(name) ?? []
    const node = declared ?? all.find(isExported) ?? all[0]
    if (node === undefined) throw new Error(`no type ${name} in ${FOLDERS.join(', ')}`)
    const known = this.#declarations.get(name) ?? node
    if (known !== node) throw new Error(`two types of rows are called ${name}`)
    this.#declarations.set(name, node)
    const symbol = this.#checker.getSymbolAtLocation(node.name)
    const meaning = this.#meaning(symbol)
    this.#shapes.set(name, { shape: { kind: 'any' }, meaning })
    const type = this.#checker.getTypeAtLocation(node.name)
    this.#shapes.set(name, {
      shape: OPAQUE.has(name) ? { kind: 'any' } : this.#shape(type, node, true),
      meaning,
    })
  }

  #meaning(symbol: ts.Symbol | undefined): string {
    return ts
      .displayPartsToString(symbol?.getDocumentationComment(this.#checker))
      .replaceAll(/\s+/g, ' ')
      .trim()
  }

  /** @param itself  the type's own members, not a link to it */
  #shape(type: ts.Type, at: ts.Node, itself = false): Shape {
    const { flags } = type
    const name = (type.aliasSymbol ?? type.getSymbol())?.name ?? ''
    if (name === 'Addr' || flags & ts.TypeFlags.BigIntLike) return { kind: 'word' }
    if (flags & ts.TypeFlags.StringLiteral || flags & ts.TypeFlags.NumberLiteral)
      return { kind: 'literal', value: (type as ts.LiteralType).value as string | number }
    if (flags & ts.TypeFlags.BooleanLiteral)
      return { kind: 'literal', value: this.#checker.typeToString(type) === 'true' }
    if (flags & (ts.TypeFlags.Boolean | ts.TypeFlags.BooleanLike)) return { kind: 'boolean' }
    if (flags & ts.TypeFlags.StringLike) return { kind: 'string' }
    if (flags & ts.TypeFlags.NumberLike) return { kind: 'number' }
    if (flags & ts.TypeFlags.Null) return { kind: 'null' }
    if (OPAQUE.has(name)) return this.#link(name, type)
    if (flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.NonPrimitive)) return { kind: 'any' }
    if (type.isUnion()) return this.#union(type, at)
    return this.#object(type, name, at, itself)
  }

  #link(name: string, type: ts.Type): Shape {
    const all = this.#named.get(name) ?? []
    const symbol = type.aliasSymbol ?? type.getSymbol()
    this.#enter(
      name,
      all.find((node) => symbol?.declarations?.includes(node)),
    )
    return { kind: 'named', name }
  }

  #union(type: ts.UnionType, at: ts.Node): Shape {
    const parts = type.types.filter((t) => !(t.flags & ts.TypeFlags.Undefined))
    const isBoolean = (t: ts.Type): boolean => (t.flags & ts.TypeFlags.BooleanLiteral) !== 0
    const both = parts.filter(isBoolean).length === 2
    const shapes = parts.filter((t) => !both || !isBoolean(t)).map((t) => this.#shape(t, at))
    const all: Shape[] = both ? [...shapes, { kind: 'boolean' }] : shapes
    const of = [...all.filter(({ kind }) => kind !== 'null'), ...all.filter(({ kind }) => kind === 'null')]
    return of.length === 1 ? (of[0] as Shape) : { kind: 'union', of }
  }

  #object(type: ts.Type, name: string, at: ts.Node, itself: boolean): Shape {
    if (name === 'Uint8Array') return { kind: 'bytes' }
    if (this.#checker.isArrayType(type) || this.#checker.isTupleType(type)) {
      const [element] = this.#checker.getTypeArguments(type as ts.TypeReference)
      return { kind: 'list', of: element === undefined ? { kind: 'any' } : this.#shape(element, at) }
    }
    const properties = this.#checker.getPropertiesOfType(type)
    if (properties.some((p) => p.name === '$addr')) return { kind: 'word' }
    const isOurs = this.#named.has(name) && type.aliasTypeArguments === undefined
    if (!itself && isOurs) return this.#link(name, type)
    const index = this.#checker.getIndexTypeOfType(type, ts.IndexKind.String)
    const rest = index === undefined ? undefined : this.#shape(index, at)
    if (properties.length === 0 && rest !== undefined) return { kind: 'map', of: rest }
    // those of the types it extends come first
    const isOwn = (p: ts.Symbol): boolean => p.declarations?.some((node) => node.parent === at) === true
    const ordered = [...properties.filter((p) => !isOwn(p)), ...properties.filter(isOwn)]
    const members = (itself ? ordered : properties).map((property) => this.#member(property, at))
    return { kind: 'object', members, ...(rest !== undefined && { rest }) }
  }

  #member(property: ts.Symbol, at: ts.Node): Member {
    const type = this.#checker.getTypeOfSymbolAtLocation(property, at)
    const missing = type.isUnion() && type.types.some((t) => (t.flags & ts.TypeFlags.Undefined) !== 0)
    return {
      name: property.name,
      optional: (property.flags & ts.SymbolFlags.Optional) !== 0 || missing,
      shape: this.#shape(type, at),
      meaning: this.#meaning(property),
    }
  }
}

/** Types that say in their comment what they are: their members depend on what is looked at. */
const OPAQUE: ReadonlySet<string> = new Set(['PlainValue', 'Json'])

/** How a parsed value differs from its shape; each line says where. */
export function misfits(value: unknown, shape: Shape, types: RowTypes, at = 'row'): string[] {
  const wrong = (what: string): string[] => [`${at}: ${what}: ${JSON.stringify(value).slice(0, 80)}`]
  switch (shape.kind) {
    case 'any':
      return []
    case 'word':
      return typeof value === 'string' && /^0x[0-9a-f]+$/.test(value) ? [] : wrong('no "0x…"')
    case 'bytes':
      return typeof value === 'string' && /^[0-9a-f]*$/.test(value) ? [] : wrong('no hex bytes')
    case 'null':
      return value === null ? [] : wrong('not null')
    case 'literal':
      return value === shape.value ? [] : wrong(`not ${JSON.stringify(shape.value)}`)
    case 'number':
      // NaN is null
      return typeof value === 'number' ? [] : wrong('no number')
    case 'string':
    case 'boolean':
      return typeof value === shape.kind ? [] : wrong(`no ${shape.kind}`)
    case 'named': {
      const named = types.shapes.get(shape.name)
      return named === undefined ? wrong(`no type ${shape.name}`) : misfits(value, named.shape, types, at)
    }
    case 'list':
      if (!Array.isArray(value)) return wrong('no list')
      return value.flatMap((each, i) => misfits(each, shape.of, types, `${at}[${i}]`))
    case 'union': {
      const tries = shape.of.map((each) => misfits(value, each, types, at))
      return tries.reduce((best, next) => (next.length < best.length ? next : best))
    }
    case 'map':
      return objectMisfits(value, [], shape.of, types, at)
    case 'object':
      return objectMisfits(value, shape.members, shape.rest, types, at)
  }
}

function objectMisfits(
  value: unknown,
  members: readonly Member[],
  rest: Shape | undefined,
  types: RowTypes,
  at: string,
): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [`${at}: no object: ${JSON.stringify(value).slice(0, 80)}`]
  const found = new Map(Object.entries(value))
  const declared = members.flatMap(({ name, optional, shape }) => {
    if (!found.has(name)) return optional ? [] : [`${at}.${name}: missing`]
    return misfits(found.get(name), shape, types, `${at}.${name}`)
  })
  const others = [...found].filter(([name]) => !members.some((member) => member.name === name))
  return [
    ...declared,
    ...others.flatMap(([name, its]) =>
      rest === undefined ? [`${at}.${name}: not documented`] : misfits(its, rest, types, `${at}.${name}`),
    ),
  ]
}
