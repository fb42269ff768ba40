/** An opened dump as if parts of it were not there: what older kernels and other tools leave out. */

import type { PhysicalMemory } from '../../src/memory/memory.ts'
import type { Container } from '../../src/vmcore/container.ts'

const PAGE = 4096

export interface Blanks {
  /** the note's text; undefined: there is none */
  readonly vmcoreinfo?: string | undefined
  /** pages with this text are zeroed */
  readonly zero?: (pfn: number, page: Uint8Array) => boolean
  /** bytes of physical memory to zero */
  readonly ranges?: readonly { readonly phys: number; readonly size: number }[]
}

/** The same dump, blanked. Pages are counted in `stats` as before. */
export function blanked(container: Container, blanks: Blanks): Container {
  const { memory } = container
  const within = (pfn: number): { phys: number; size: number } | undefined =>
    blanks.ranges?.find(({ phys, size }) => (pfn + 1) * PAGE > phys && pfn * PAGE < phys + size)
  const page: PhysicalMemory['page'] = (pfn) => {
    const bytes = memory.page(pfn)
    if (typeof bytes === 'string') return bytes
    if (blanks.zero?.(pfn, bytes) === true) return new Uint8Array(PAGE)
    const range = within(pfn)
    if (range === undefined) return bytes
    const copy = bytes.slice()
    copy.fill(0, Math.max(0, range.phys - pfn * PAGE), Math.min(PAGE, range.phys + range.size - pfn * PAGE))
    return copy
  }
  const view = Object.create(container) as Container
  Object.defineProperties(view, {
    memory: { value: { pageSize: PAGE, page } },
    vmcoreinfo: { value: blanks.vmcoreinfo },
    physBase: { value: undefined },
    close: { value: () => container.close() },
  })
  return view
}

/** Is it the page the kernel keeps its VMCOREINFO text in? */
export const holdsVmcoreinfo = (_: number, page: Uint8Array): boolean =>
  Buffer.from(page.buffer, page.byteOffset, 10).toString('latin1') === 'OSRELEASE='

/** A VMCOREINFO text without the lines of these keys. */
export const without = (text: string, ...keys: string[]): string =>
  text
    .split('\n')
    .filter((line) => !keys.some((key) => line.startsWith(key)))
    .join('\n')
