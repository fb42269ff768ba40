/** The C type graph as BTF describes it: plain data, resolved lazily by {@link Btf}. */

export type TypeKind = Type['kind']

export interface VoidType {
  readonly kind: 'void'
  readonly id: 0
}
export interface IntType {
  readonly kind: 'int'
  readonly id: number
  readonly name: string
  readonly size: number
  readonly signed: boolean
  readonly char: boolean
  readonly bool: boolean
}
export interface FloatType {
  readonly kind: 'float'
  readonly id: number
  readonly name: string
  readonly size: number
}
export interface PtrType {
  readonly kind: 'ptr'
  readonly id: number
  readonly target: Type
}
export interface ArrayType {
  readonly kind: 'array'
  readonly id: number
  readonly element: Type
  readonly length: number
}
export interface Member {
  /** Empty for an anonymous struct or union. */
  readonly name: string
  readonly type: Type
  /** Offset in bits from the start of the struct. */
  readonly bitOffset: number
  /** Width of a bit-field; 0 for an ordinary member. */
  readonly bitSize: number
}
export interface StructType {
  readonly kind: 'struct' | 'union'
  readonly id: number
  /** Empty when anonymous. */
  readonly name: string
  readonly size: number
  readonly members: readonly Member[]
}
export interface EnumType {
  readonly kind: 'enum'
  readonly id: number
  readonly name: string
  readonly size: number
  readonly signed: boolean
  readonly values: readonly { readonly name: string; readonly value: bigint }[]
}
export interface FwdType {
  readonly kind: 'fwd'
  readonly id: number
  readonly name: string
  readonly union: boolean
}
export interface TypedefType {
  readonly kind: 'typedef'
  readonly id: number
  readonly name: string
  readonly target: Type
}
export interface QualifierType {
  readonly kind: 'const' | 'volatile' | 'restrict' | 'type_tag'
  readonly id: number
  /** The tag's text, for `type_tag`. */
  readonly name: string
  readonly target: Type
}
export interface Param {
  readonly name: string
  readonly type: Type
}
export interface FuncProtoType {
  readonly kind: 'func_proto'
  readonly id: number
  readonly returns: Type
  readonly params: readonly Param[]
  readonly variadic: boolean
}
export interface FuncType {
  readonly kind: 'func'
  readonly id: number
  readonly name: string
  readonly proto: Type
}
export interface VarType {
  readonly kind: 'var'
  readonly id: number
  readonly name: string
  readonly type: Type
  readonly linkage: number
}
export interface DatasecType {
  readonly kind: 'datasec'
  readonly id: number
  readonly name: string
  readonly size: number
  readonly vars: readonly { readonly type: Type; readonly offset: number; readonly size: number }[]
}
export interface DeclTagType {
  readonly kind: 'decl_tag'
  readonly id: number
  readonly name: string
  readonly target: Type
}

export type Type =
  | VoidType
  | IntType
  | FloatType
  | PtrType
  | ArrayType
  | StructType
  | EnumType
  | FwdType
  | TypedefType
  | QualifierType
  | FuncProtoType
  | FuncType
  | VarType
  | DatasecType
  | DeclTagType

/** Remove typedefs and qualifiers. A chain is as long as BTF makes it; a cycle ends after 64 hops. */
export function strip(type: Type): Type {
  let t = type
  for (let hops = 0; hops < 64; hops++) {
    switch (t.kind) {
      case 'typedef':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        t = t.target
        break
      default:
        return t
    }
  }
  return { kind: 'void', id: 0 }
}

export function isStruct(type: Type): type is StructType {
  return type.kind === 'struct' || type.kind === 'union'
}
