/** The notes of an ELF core: registers of each CPU, and the VMCOREINFO text. */

import type { Note } from './container.ts'

const align4 = (n: number): number => (n + 3) & ~3

/**
 * Split a PT_NOTE segment. What is cut short is left out: a note that does not fit ends the list.
 *
 * @remarks Names and descriptors are aligned to 4 bytes in 64-bit cores too, as Linux and QEMU write them.
 */
export function parseNotes(bytes: Uint8Array): Note[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const notes: Note[] = []
  let at = 0
  while (at + 12 <= bytes.length) {
    const nameSize = view.getUint32(at, true)
    const descSize = view.getUint32(at + 4, true)
    const type = view.getUint32(at + 8, true)
    if (nameSize > bytes.length || descSize > bytes.length) break
    const nameAt = at + 12
    const descAt = nameAt + align4(nameSize)
    if (descAt + descSize > bytes.length) break
    if (nameSize > 0 || descSize > 0) {
      const name = Buffer.from(bytes.subarray(nameAt, nameAt + nameSize)).toString('latin1')
      notes.push({ name: name.replace(/\0.*$/s, ''), type, desc: bytes.slice(descAt, descAt + descSize) })
    }
    at = descAt + align4(descSize)
  }
  return notes
}

/** The text of the note named `VMCOREINFO`, without trailing NULs. */
export function vmcoreinfoOf(notes: readonly Note[]): string | undefined {
  const note = notes.find((n) => n.name === 'VMCOREINFO' && n.desc.length > 0)
  return note && vmcoreinfoText(note.desc)
}

/** VMCOREINFO text out of raw bytes: up to the first NUL. */
export function vmcoreinfoText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return Buffer.from(bytes.subarray(0, end < 0 ? bytes.length : end)).toString('latin1')
}
