import { describe, expect, test } from 'vitest'
import { parseNotes, vmcoreinfoOf } from '../../../src/vmcore/notes.ts'
import { findVmcoreinfo, Vmcoreinfo } from '../../../src/vmcore/vmcoreinfo.ts'
import { note, vmcoreinfoNote } from '../../support/dump-images.ts'

const TEXT = `OSRELEASE=6.1.0-56-amd64
PAGESIZE=4096
SYMBOL(_stext)=ffffffffb1400000
OFFSET(list_head.next)=8
SIZE(page)=64
LENGTH(node_data)=1024
NUMBER(phys_base)=-809500672
KERNELOFFSET=30400000
BROKEN
SYMBOL(bad)=zz
`

describe('VMCOREINFO', () => {
  const info = new Vmcoreinfo(TEXT)
  test('each kind of key has its reader', () => {
    expect(info.release).toBe('6.1.0-56-amd64')
    expect(info.symbol('_stext')).toBe(0xffffffffb1400000n)
    expect(info.offset('list_head.next')).toBe(8)
    expect(info.size('page')).toBe(64)
    expect(info.length('node_data')).toBe(1024)
    expect(info.number('phys_base')).toBe(-809500672)
    expect(info.kernelOffset).toBe(0x30400000n)
  })

  test('what is absent or no number is undefined', () => {
    expect(info.symbol('bad')).toBeUndefined()
    expect(info.symbol('prb')).toBeUndefined()
    expect(info.number('sme_mask')).toBeUndefined()
    expect(new Vmcoreinfo('').kernelOffset).toBe(0n)
  })
})

describe('notes', () => {
  test('are split, names without their NUL', () => {
    const bytes = Buffer.concat([
      note('CORE', 1, new Uint8Array(336)),
      vmcoreinfoNote(TEXT),
      note('QEMU', 0, new Uint8Array(5)),
    ])
    const notes = parseNotes(bytes)
    expect(notes.map((n) => [n.name, n.type, n.desc.length])).toEqual([
      ['CORE', 1, 336],
      ['VMCOREINFO', 0, TEXT.length],
      ['QEMU', 0, 5],
    ])
    expect(vmcoreinfoOf(notes)).toBe(TEXT)
  })

  test('a note that does not fit ends the list', () => {
    const bytes = Buffer.concat([note('CORE', 1, new Uint8Array(8)), note('QEMU', 0, new Uint8Array(100))])
    expect(parseNotes(bytes.subarray(0, bytes.length - 50)).map((n) => n.name)).toEqual(['CORE'])
    bytes.writeUInt32LE(0xffffffff, 0)
    expect(parseNotes(bytes)).toEqual([])
  })
})

describe('the text in memory', () => {
  const page = (text: string): Uint8Array => {
    const bytes = new Uint8Array(4096)
    bytes.set(Buffer.from(text))
    return bytes
  }
  test('is found where it begins a page', () => {
    const text = 'OSRELEASE=6.1\nPAGESIZE=4096\n'
    expect(findVmcoreinfo([[3, page(text)]], () => true)).toBe(text)
    expect(findVmcoreinfo([[3, page(` ${text}`)]], () => true)).toBeUndefined()
  })

  test('of two, the one that fits memory is taken; when none does, the first', () => {
    const older = 'OSRELEASE=5.0\nPAGESIZE=4096\n'
    const newer = 'OSRELEASE=6.1\nPAGESIZE=4096\n'
    const pages = [
      [1, page(older)],
      [2, page(newer)],
    ] as const
    expect(findVmcoreinfo(pages, (text) => text.includes('6.1'))).toBe(newer)
    expect(findVmcoreinfo(pages, () => false)).toBe(older)
  })
})
