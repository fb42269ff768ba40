/** What the user may give beside a dump: a vmlinux (symbol table, BTF) or a System.map. */

import { DumpError } from '../base/errors.ts'
import type { SymbolSource } from '../symbols/symbol.ts'
import { SystemMap } from '../symbols/system-map.ts'
import type { ByteSource } from '../vmcore/container.ts'
import { openFile } from '../vmcore/file-source.ts'
import { parseNotes } from '../vmcore/notes.ts'
import type { Vmcoreinfo } from '../vmcore/vmcoreinfo.ts'

const SHT_SYMTAB = 2
const SHT_NOTE = 7
const SHT_NOBITS = 8
const SHF_WRITE = 1
const SHF_EXECINSTR = 4
const STT_SECTION = 3
const STT_FILE = 4
const STB_LOCAL = 0
const STB_WEAK = 2
const SHN_ABS = 0xfff1
const NT_GNU_BUILD_ID = 3
/** A larger section of these kinds is damage: the whole symbol table of a kernel is some 20 MB. */
const MAX_SECTION = 256 << 20

export interface Namelist {
  /** @throws DumpError when it has none */
  symbols(): SymbolSource
  /** The kernel's BTF; undefined when the file has none. */
  btf(): Uint8Array | undefined
}

/**
 * @throws DumpError UNREADABLE; BAD_FORMAT, TRUNCATED for a damaged file or another kernel's
 */
export function openNamelist(path: string, wordSize: 4 | 8, info: Vmcoreinfo): Namelist {
  const file = openFile(path)
  try {
    const offset = Number(info.kernelOffset)
    const isElf = file.size >= 4 && Buffer.from(file.read(0, 4)).toString('latin1') === '\x7fELF'
    if (isElf) return new Vmlinux(file, wordSize, offset, info.get('BUILD-ID'))
    if (file.size > MAX_SECTION)
      throw new DumpError('BAD_FORMAT', path, -1, 'neither a vmlinux nor a System.map')
    const text = Buffer.from(file.read(0, file.size)).toString('latin1')
    return { symbols: () => new SystemMap(path, text, wordSize, offset), btf: () => undefined }
  } finally {
    file.close()
  }
}

interface Section {
  readonly name: string
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly size: number
  readonly link: number
}

/** What is needed is read at once, so that no file stays open. */
class Vmlinux implements Namelist {
  readonly #path: string
  readonly #wide: boolean
  readonly #offset: number
  readonly #sections: readonly Section[]
  readonly #symtab: Buffer | undefined
  readonly #strtab: Buffer
  readonly #btf: Uint8Array | undefined

  constructor(file: ByteSource, wordSize: 4 | 8, offset: number, buildId: string | undefined) {
    this.#path = file.path
    this.#wide = wordSize === 8
    this.#offset = offset
    this.#sections = readSections(file, wordSize)
    checkBuildId(file, this.#sections, buildId)
    const symtab = this.#sections.find((s) => s.type === SHT_SYMTAB)
    const strtab = this.#sections[symtab?.link ?? 0]
    this.#symtab = symtab && contents(file, symtab)
    this.#strtab = strtab === undefined ? Buffer.alloc(0) : contents(file, strtab)
    const btf = this.#sections.find((s) => s.name === '.BTF')
    this.#btf = btf && contents(file, btf)
  }

  btf(): Uint8Array | undefined {
    return this.#btf
  }

  symbols(): SymbolSource {
    const table = this.#symtab
    if (table === undefined)
      throw new DumpError('BAD_FORMAT', this.#path, -1, 'a vmlinux without symbol table')
    const entry = this.#wide ? 24 : 16
    const lines: string[] = []
    for (let at = 0; at + entry <= table.length; at += entry) {
      const info = table.readUInt8(at + (this.#wide ? 4 : 12))
      const section = table.readUInt16LE(at + (this.#wide ? 6 : 14))
      const name = text(this.#strtab, table.readUInt32LE(at))
      const kind = info & 0xf
      if (section === 0 || kind === STT_SECTION || kind === STT_FILE || !/^\S+$/.test(name)) continue
      const value = this.#wide ? table.readBigUInt64LE(at + 8) : BigInt(table.readUInt32LE(at + 4))
      const digits = value.toString(16).padStart(this.#wide ? 16 : 8, '0')
      lines.push(`${digits} ${this.#letter(section, info >> 4)} ${name}`)
    }
    return new SystemMap(this.#path, lines.join('\n'), this.#wide ? 8 : 4, this.#offset)
  }

  /** nm's letter. */
  #letter(index: number, binding: number): string {
    if (binding === STB_WEAK) return 'W'
    const section = this.#sections[index]
    const letter =
      index === SHN_ABS || section === undefined
        ? 'A'
        : (section.flags & SHF_EXECINSTR) !== 0
          ? 'T'
          : section.type === SHT_NOBITS
            ? 'B'
            : (section.flags & SHF_WRITE) !== 0
              ? 'D'
              : 'R'
    return binding === STB_LOCAL ? letter.toLowerCase() : letter
  }
}

function readSections(file: ByteSource, wordSize: 4 | 8): Section[] {
  const wide = wordSize === 8
  const header = Buffer.from(file.read(0, wide ? 64 : 52))
  const bad = (at: number, problem: string): DumpError => new DumpError('BAD_FORMAT', file.path, at, problem)
  if (header[4] !== (wide ? 2 : 1) || header[5] !== 1) throw bad(4, `not a vmlinux of ${wordSize * 8} bits`)
  const shoff = wide ? Number(header.readBigUInt64LE(40)) : header.readUInt32LE(32)
  const [size, count, names] = [0, 2, 4].map((o) => header.readUInt16LE((wide ? 58 : 46) + o)) as [number, number, number] // prettier-ignore
  const needed = wide ? 64 : 40
  if (count === 0 || size < needed) throw bad(shoff, 'no section headers')
  const table = Buffer.from(file.read(shoff, count * size))
  const raw = Array.from({ length: count }, (_, i) => {
    const at = i * size
    const word = (w: number, n: number): number =>
      wide ? Number(table.readBigUInt64LE(at + w)) : table.readUInt32LE(at + n)
    return {
      nameAt: table.readUInt32LE(at),
      type: table.readUInt32LE(at + 4),
      flags: word(8, 8) % 2 ** 31,
      offset: word(24, 16),
      size: word(32, 20),
      link: table.readUInt32LE(at + (wide ? 40 : 24)),
    }
  })
  const strings = raw[names]
  const nameTable = strings === undefined ? Buffer.alloc(0) : contents(file, strings)
  return raw.map(({ nameAt, ...section }) => ({ ...section, name: text(nameTable, nameAt) }))
}

function contents(file: ByteSource, section: { type: number; offset: number; size: number }): Buffer {
  if (section.type === SHT_NOBITS) return Buffer.alloc(0)
  if (section.size > MAX_SECTION)
    throw new DumpError('BAD_FORMAT', file.path, section.offset, `section of ${section.size} bytes`)
  return Buffer.from(file.read(section.offset, section.size))
}

/** Types and symbols of another build would give wrong answers without a word. */
function checkBuildId(file: ByteSource, sections: readonly Section[], wanted: string | undefined): void {
  if (wanted === undefined) return
  for (const section of sections.filter((s) => s.type === SHT_NOTE)) {
    const note = parseNotes(contents(file, section)).find(
      (n) => n.name === 'GNU' && n.type === NT_GNU_BUILD_ID,
    )
    const found = note && Buffer.from(note.desc).toString('hex')
    if (found !== undefined && found !== wanted)
      throw new DumpError(
        'BAD_FORMAT',
        file.path,
        -1,
        `another kernel's: build id ${found}, the dump's is ${wanted}`,
      )
  }
}

function text(table: Buffer, at: number): string {
  const end = table.indexOf(0, at)
  return at < table.length
    ? table.toString('latin1', at, Math.min(end < 0 ? table.length : end, at + 1024))
    : ''
}
