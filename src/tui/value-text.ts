/** A member's value on one line, with what its number means where the kernel's names tell. */

import { ntohs } from '../base/u32.ts'
import { declare } from '../btf/declare.ts'
import { isStruct, strip, type Type } from '../btf/type.ts'
import { ipv4_text } from '../helpers/inet-address.ts'
import { tcp_state_name } from '../helpers/sock.ts'
import { valueText, type PrintOptions } from '../render/c-value.ts'
import { span, type Span } from './cell.ts'
import { faultText } from './fault-text.ts'
import type { Node } from './tree.ts'

/** Longest string or array written out in a row. */
const SHOWN = 48

/** The value of a row; structs and arrays only say what they are. */
export function nodeValue(node: Node, options: PrintOptions): Span {
  const { value } = node
  const type = strip(value.type)
  if (isStruct(type)) return span(node.isOpen ? '' : '{...}', 'dim')
  if (type.kind === 'array' && node.opens === 'elements')
    return span(node.isOpen ? '' : `{${type.length} x ...}`, 'dim')
  try {
    const text = valueText(value, { ...options, printMax: SHOWN, nullStop: true })
    const style = value.hole() !== undefined ? 'error' : type.kind === 'ptr' ? 'address' : 'text'
    return span(`${text}${meaning(node)}`, style)
  } catch (error) {
    return span(faultText(error), 'error')
  }
}

/** What a number of the network's says to people: ` (192.168.56.101)`; empty for others. */
function meaning({ name, value }: Node): string {
  if (value.hole() !== undefined || value.bitSize > 0) return ''
  const declared = typedefName(value.type)
  if (declared === '__be32' && name.includes('addr')) return ` (${ipv4_text(Number(value.integer()))})`
  if (declared === '__be16' && name.includes('port')) return ` (port ${ntohs(Number(value.integer()))})`
  if (/^(skc|tw)_(sub)?state$/.test(name)) return ` (${tcp_state_name(Number(value.integer()))})`
  return ''
}

function typedefName(type: Type): string | undefined {
  return type.kind === 'typedef' ? type.name : undefined
}

/** The member as C declares it: `struct sock *sk`. */
export function declaration(node: Node): string {
  const name = /^[[*(]/.test(node.name) || node.name === 'union' || node.name === 'struct' ? '' : node.name
  const bits = node.value.bitSize > 0 ? ` : ${node.value.bitSize}` : ''
  return declare(node.value.type, name).trim() + bits
}
