/** A kernel for reader tests: structs placed one by one in bytes of its own, everything else unmapped. */

import { toAddr, vaOfHalves, type Addr, type Va } from '../../src/base/addr.ts'
import { FaultError, LookupError } from '../../src/base/errors.ts'
import { Btf } from '../../src/btf/parse.ts'
import type { StructRef } from '../../src/btf/ref.ts'
import { Types, type RefOf } from '../../src/btf/types.ts'
import type { Kernel } from '../../src/helpers/kernel.ts'
import { loadLayout } from '../../src/layouts/layout.ts'
import type { WritableMemory } from '../../src/memory/memory.ts'

const PAGE = 4096
const BASE = -0x7780_0000_0000

/** Sparse pages; reading or writing outside them faults. */
export class FlatMemory implements WritableMemory {
  readonly wordSize = 8
  readonly #pages = new Map<number, Uint8Array>()

  map(va: Va, size: number): void {
    for (let page = Math.floor(va / PAGE); page * PAGE < va + size; page++) {
      if (!this.#pages.has(page)) this.#pages.set(page, new Uint8Array(PAGE))
    }
  }

  /** As if the page had been left out of the dump. */
  unmap(va: Va): void {
    this.#pages.delete(Math.floor(va / PAGE))
  }

  read(va: Va, size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = this.u8(va + i)
    return bytes
  }

  write(va: Va, bytes: Uint8Array): void {
    bytes.forEach((byte, i) => {
      this.setU8(va + i, byte)
    })
  }

  u8(va: Va): number {
    return this.#page(va)[va - Math.floor(va / PAGE) * PAGE] as number
  }
  setU8(va: Va, value: number): void {
    this.#page(va)[va - Math.floor(va / PAGE) * PAGE] = value
  }

  u16 = (va: Va): number => this.#view(va, 2).getUint16(0, true)
  u32 = (va: Va): number => this.#view(va, 4).getUint32(0, true)
  u64 = (va: Va): bigint => this.#view(va, 8).getBigUint64(0, true)
  word = (va: Va): bigint => this.u64(va)
  pointer = (va: Va): Va => vaOfHalves(this.u32(va), this.u32(va + 4))
  setU16 = (va: Va, value: number): void => this.#store(va, 2, BigInt(value))
  setU32 = (va: Va, value: number): void => this.#store(va, 4, BigInt(value))
  setU64 = (va: Va, value: bigint): void => this.#store(va, 8, value)
  setWord = (va: Va, value: bigint): void => this.#store(va, 8, value)
  setPointer = (va: Va, target: Va): void => this.#store(va, 8, toAddr(target))
  fill = (va: Va, byte: number, size: number): void => this.write(va, new Uint8Array(size).fill(byte))
  copy = (to: Va, from: Va, size: number): void => this.write(to, this.read(from, size))

  #store(va: Va, size: number, value: bigint): void {
    for (let i = 0; i < size; i++) this.setU8(va + i, Number((value >> BigInt(8 * i)) & 0xffn))
  }

  #view(va: Va, size: number): DataView {
    return new DataView(this.read(va, size).buffer)
  }

  #page(va: Va): Uint8Array {
    const page = this.#pages.get(Math.floor(va / PAGE))
    if (page === undefined) throw new FaultError(Number.isNaN(va) ? 0n : toAddr(va), 1, 'unmapped')
    return page
  }
}

let types: Types | undefined

export class FlatKernel implements Kernel {
  readonly mem = new FlatMemory()
  readonly types: Types
  readonly #symbols = new Map<string, Va>()
  #next = BASE

  constructor() {
    types ??= new Types(Btf.parse(loadLayout('linux-6.1.192-x86_64').btf, { pointerSize: 8 }))
    this.types = types
  }

  sym(name: string): Addr {
    const va = this.#symbols.get(name)
    if (va === undefined) throw new LookupError('symbol', name)
    return toAddr(va)
  }

  symbol(name: string, va: Va): void {
    this.#symbols.set(name, va)
  }

  /** Zeroed room at an address divisible by `align`. */
  room(size: number, align = 64): Va {
    const va = Math.ceil(this.#next / align) * align
    this.mem.map(va, size)
    this.#next = va + size
    return va
  }

  /** Room on pages of its own, so that it can be unmapped. */
  lonely(size: number): Va {
    const va = this.room(size, PAGE)
    this.#next = Math.ceil(this.#next / PAGE) * PAGE
    return va
  }

  /** A new zeroed struct. */
  make<N extends string>(struct: N): RefOf<N> {
    return this.types.ref(struct, this.mem, this.room(this.types.sizeof(struct)))
  }

  /** A C string; its address. */
  text(text: string): bigint {
    const bytes = Buffer.from(`${text}\0`, 'latin1')
    const va = this.room(bytes.length, 8)
    this.mem.write(va, bytes)
    return toAddr(va)
  }

  /** An empty list_head at a place. */
  emptyList(head: Va): void {
    this.mem.setPointer(head, head)
    this.mem.setPointer(head + 8, head)
  }

  /** Append to a list, as list_add_tail(). */
  append(head: Va, node: Va): void {
    const last = this.mem.pointer(head + 8)
    this.mem.setPointer(node, head)
    this.mem.setPointer(node + 8, last)
    this.mem.setPointer(last, node)
    this.mem.setPointer(head + 8, node)
  }

  /** A dentry with its name inside it. Its own parent when none is given. */
  dentry(name: string, parent?: StructRef, inode?: StructRef): StructRef {
    const dentry: StructRef = this.make('dentry')
    const external = name.length > 31
    const at = external ? this.text(name) : toAddr(dentry.$vaOf('d_iname'))
    if (!external) this.mem.write(dentry.$vaOf('d_iname'), Buffer.from(name, 'latin1'))
    dentry.$set('d_name.name', at)
    dentry.$set('d_name.len', name.length)
    dentry.$set('d_parent', parent ?? dentry)
    dentry.$set('d_inode', inode ?? null)
    return dentry
  }

  /** A mount; its own parent when none is given. */
  mount(root: StructRef, devname: string, at?: { parent: StructRef; mountpoint: StructRef }): StructRef {
    const mount: StructRef = this.make('mount')
    mount.$set('mnt_parent', at?.parent ?? mount)
    mount.$set('mnt_mountpoint', at?.mountpoint ?? root)
    mount.$set('mnt_devname', this.text(devname))
    mount.$set('mnt.mnt_root', root)
    return mount
  }
}
