/** VMCOREINFO: the `KEY=VALUE` lines a kernel keeps for those who will open its dump. */

import { addr, type Addr } from '../base/addr.ts'
import { vmcoreinfoText } from './notes.ts'

/** The parsed text. @see kernel/crash_core.c:crash_save_vmcoreinfo_init */
export class Vmcoreinfo {
  readonly text: string
  readonly #values = new Map<string, string>()

  constructor(text: string) {
    this.text = text
    for (const line of text.split('\n')) {
      const equals = line.indexOf('=')
      if (equals > 0) this.#values.set(line.slice(0, equals), line.slice(equals + 1).trim())
    }
  }

  get(key: string): string | undefined {
    return this.#values.get(key)
  }

  keys(): IterableIterator<string> {
    return this.#values.keys()
  }

  get release(): string | undefined {
    return this.get('OSRELEASE')
  }

  /** `SYMBOL(name)`: a run-time address. */
  symbol(name: string): Addr | undefined {
    return this.#hex(`SYMBOL(${name})`)
  }

  /** `NUMBER(name)`: decimal, possibly negative (phys_base). */
  number(name: string): number | undefined {
    return this.#decimal(`NUMBER(${name})`)
  }

  /** `OFFSET(struct.member)`, in bytes. */
  offset(member: string): number | undefined {
    return this.#decimal(`OFFSET(${member})`)
  }

  /** `SIZE(struct)`, in bytes. */
  size(type: string): number | undefined {
    return this.#decimal(`SIZE(${type})`)
  }

  /** `LENGTH(array)`, in elements. */
  length(array: string): number | undefined {
    return this.#decimal(`LENGTH(${array})`)
  }

  /** How far KASLR moved the kernel, in bytes; 0 when the kernel does not say. */
  get kernelOffset(): Addr {
    return this.#hex('KERNELOFFSET') ?? addr(0)
  }

  #hex(key: string): Addr | undefined {
    const value = this.get(key)
    return value !== undefined && /^(0x)?[0-9a-f]{1,16}$/i.test(value)
      ? addr(BigInt(`0x${value.replace(/^0x/i, '')}`))
      : undefined
  }

  #decimal(key: string): number | undefined {
    const value = this.get(key)
    return value !== undefined && /^-?\d{1,20}$/.test(value) ? Number(value) : undefined
  }
}

const FIRST_KEY = Buffer.from('OSRELEASE=')

/**
 * Look for the text in memory itself, where it begins a page: for dumps without the note.
 *
 * @param pages the pages to look at
 * @param isRight does it tell of the kernel that runs? A rebooted guest may still hold an older one's: that is taken
 * only when there is no other.
 */
export function findVmcoreinfo(
  pages: Iterable<readonly [pfn: number, page: Uint8Array]>,
  isRight: (text: string) => boolean,
): string | undefined {
  let other: string | undefined
  for (const [, page] of pages) {
    if (!FIRST_KEY.every((byte, i) => page[i] === byte)) continue
    const text = vmcoreinfoText(page)
    if (!text.includes('PAGESIZE=')) continue
    if (isRight(text)) return text
    other ??= text
  }
  return other
}
