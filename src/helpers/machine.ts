/** What is known of the machine as a whole: taints, firmware strings, the kernel's configuration, its clock rate. */

import { gunzipSync } from 'node:zlib'
import { DumpError } from '../base/errors.ts'
import { findSymbolVa, readString, symbolVa, type Kernel } from './kernel.ts'
import { taint_flags } from './module.ts'

/** `tainted_mask` and its letters. */
export function tainted(kernel: Kernel): { mask: bigint; letters: string } {
  const at = findSymbolVa(kernel, 'tainted_mask') ?? symbolVa(kernel, 'tainted')
  const mask = kernel.mem.word(at)
  const letters = taint_flags(kernel).map(({ on }, bit) => ((mask >> BigInt(bit)) & 1n ? on : ''))
  return { mask, letters: letters.join('') }
}

/** The strings the firmware gave, by the names of `enum dmi_field`; those it did not give are left out. */
export function dmi_strings(kernel: Kernel): { field: string; value: string }[] {
  const { types, mem } = kernel
  const table = symbolVa(kernel, 'dmi_ident')
  const fields = types.btf.find('dmi_field', 'enum')
  if (fields === undefined || fields.kind !== 'enum') return []
  const found: { field: string; value: string }[] = []
  for (const { name, value } of fields.values) {
    if (name === 'DMI_NONE' || name === 'DMI_STRING_MAX' || name === 'DMI_OEM_STRING' || value > 64n) continue
    const at = mem.pointer(table + Number(value) * mem.wordSize)
    if (at === 0 || Number.isNaN(at)) continue
    found.push({ field: name, value: readString(mem, at, 256) })
  }
  return found
}

/** Megahertz of the processors, 0 when unknown. @see arch/x86/kernel/tsc.c: `cpu_khz` */
export function processor_mhz(kernel: Kernel): number {
  const at = findSymbolVa(kernel, 'cpu_khz')
  return at === undefined ? 0 : Math.floor(kernel.mem.u32(at) / 1000)
}

/** Marks before and after the compressed configuration. @see kernel/configs.c */
const MARK_LENGTH = 8
const CONFIG_MAX = 1 << 20
const CONFIG_TEXT_MAX = 16 << 20

/**
 * The text of the kernel's .config; undefined when it was built without IKCONFIG.
 * @throws DumpError BAD_FORMAT when what is there is not a configuration
 */
export function kernel_config(kernel: Kernel, path: string): string | undefined {
  const at = findSymbolVa(kernel, 'kernel_config_data')
  if (at === undefined) return undefined
  const end = findSymbolVa(kernel, 'kernel_config_data_end')
  const size = end !== undefined && end > at ? Math.min(end - at, CONFIG_MAX) : lengthTo(kernel, at)
  const bytes = kernel.mem.read(at, size)
  const marked = Buffer.from(bytes.subarray(0, MARK_LENGTH)).toString('latin1') === 'IKCFG_ST'
  try {
    const text = gunzipSync(bytes.subarray(marked ? MARK_LENGTH : 0), { maxOutputLength: CONFIG_TEXT_MAX })
    return text.toString('latin1')
  } catch {
    throw new DumpError('BAD_FORMAT', path, -1, 'kernel_config_data holds no configuration')
  }
}

/** Bytes from the mark at the start to the one at the end. */
function lengthTo(kernel: Kernel, at: number): number {
  const end = Buffer.from('IKCFG_ED', 'latin1')
  for (let size = 4096; size <= CONFIG_MAX; size *= 2) {
    const found = Buffer.from(kernel.mem.read(at, size)).indexOf(end)
    if (found >= 0) return found
  }
  return CONFIG_MAX
}
