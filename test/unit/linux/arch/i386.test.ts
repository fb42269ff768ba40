import { describe, expect, test } from 'vitest'
import { i386Table } from '../../../../src/abi/syscalls-i386.ts'
import { strip } from '../../../../src/btf/type.ts'
import { PinnedSymbolError } from '../../../../src/linux/arch/x86/kernel/pinned.ts'
import { createKernel, DEFAULT_BOOT, type BootOptions } from '../../../../src/linux/boot.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { findProfile } from '../../../../src/linux/profile.ts'
import { liveTarget } from '../../../support/live-target.ts'
import { bootedMachine } from '../../../support/machine.ts'

const booted = (name: string, options: Partial<BootOptions> = {}): Kernel => {
  const profile = findProfile(name)
  if (profile === undefined) throw new Error(`no profile ${name}`)
  return bootedMachine({ profile, ...options })
}
const MIB = 1 << 20
const GIB = 1024 * MIB

describe.each([
  ['linux-3.13-i386', 'i386-pae'],
  ['linux-2.6.24-i386', 'i386'],
])('%s, opened as a dump', (name, mode) => {
  const k = booted(name)
  const target = liveTarget(k)

  test('the inspector finds the word size, the kind of page tables and the linear map', () => {
    expect(target.wordSize).toBe(4)
    expect(target.space.mode).toBe(mode)
    expect(target.pageOffset).toBe(0xc000_0000)
  })

  test.each(['linux_banner', 'init_task', 'sys_call_table', '__start_BTF', '__per_cpu_start'])(
    'its page tables translate %s as the machine does',
    (symbol) => {
      const va = target.symVa(symbol)
      const { phys, entries } = target.walk(va)
      expect(phys).toBe(k.mem.phys(va))
      expect(entries.map(({ level }) => level).join()).toMatch(
        mode === 'i386' ? /^PGD(,PTE)?$/ : /^PGD,PMD(,PTE)?$/,
      )
    },
  )

  test('structures have the sizes and offsets of the i386 BTF', () => {
    for (const struct of ['task_struct', 'sock', 'tcp_sock', 'module', 'sk_buff', 'page', 'pt_regs']) {
      expect(target.types.sizeof(struct)).toBe(k.types.sizeof(struct))
    }
    expect(target.types.offsetof('list_head', 'prev')).toBe(4)
    expect(target.types.sizeof('pt_regs')).toBe(68)
    const { comm } = target.ref('task_struct', target.symVa('init_task'))
    expect(comm.$string()).toBe('swapper/0')
  })

  test('a pointer reads four bytes, and a list of tasks goes round', () => {
    const init = target.ref('task_struct', target.symVa('init_task'))
    const next = target.mem.pointer(init.tasks.$va)
    expect(target.mem.u32(init.tasks.$va)).toBe(next)
    expect(target.mem.pointer(next + 4)).toBe(init.tasks.$va)
  })

  test('the table of system calls has the slots of its kernel, and sys_ni_syscall in its holes', () => {
    const table = target.symVa('sys_call_table')
    const none = target.symVa('sys_ni_syscall')
    const slots = i386Table(k.profile.release).length
    const holes: number[] = []
    for (let nr = 0; nr < slots; nr++) if (target.mem.pointer(table + nr * 4) === none) holes.push(nr)
    expect(target.mem.pointer(table + slots * 4)).toBe(0)
    expect({ slots, holes }).toMatchSnapshot()
    expect(target.symbolize(target.mem.pointer(table + 102 * 4))?.name).toBe('sys_socketcall')
  })
})

describe('linux-3.13-i386', () => {
  test('S002-4: 27 of its 351 slots are unused', () => {
    const k = booted('linux-3.13-i386')
    const table = Number(k.sym('sys_call_table'))
    const none = Number(k.sym('sys_ni_syscall'))
    const unused = Array.from({ length: 351 }, (_, nr) => nr).filter(
      (nr) => k.mem.u32(table + nr * 4) === none,
    )
    expect(unused).toEqual([
      17, 31, 32, 35, 44, 53, 56, 58, 98, 112, 127, 130, 137, 167, 169, 188, 189, 222, 223, 251, 273, 274,
      275, 276, 285, 294, 317,
    ])
  })

  test('S000-11: sys_accept and sys_connect are symbols, and no entries of the table', () => {
    const k = booted('linux-3.13-i386')
    const table = Number(k.sym('sys_call_table'))
    const entries = Array.from({ length: 351 }, (_, nr) => k.mem.u32(table + nr * 4))
    for (const name of ['sys_accept', 'sys_connect']) expect(entries).not.toContain(Number(k.sym(name)))
    expect(entries.indexOf(Number(k.sym('sys_socketcall')))).toBe(102)
  })

  test('module addresses of transcripts lie in the vmalloc area of their machines', () => {
    const areaOf = (memoryBytes: number): [number, number] => {
      const k = booted('linux-3.13-i386', { memoryBytes })
      return [k.mem.pointer(Number(k.sym('high_memory'))) + 8 * MIB, 0xffbf_e000]
    }
    const [small, end] = areaOf(512 * MIB)
    expect(small).toBe(0xe080_0000)
    expect(0xe1ad_5000).toBeGreaterThan(small)
    const [large] = areaOf(GIB)
    expect(large).toBe(0xf83f_e000)
    expect(0xf87d_9000).toBeGreaterThan(large)
    expect(0xf87d_9000).toBeLessThan(end)
  })

  test('memory behind the linear map is there, and in no zone the kernel takes from', () => {
    const k = booted('linux-3.13-i386', { memoryBytes: 2 * GIB })
    const node = k.global('contig_page_data', 'pglist_data')
    const zones = [0, 1, 2].map((i) => node.node_zones.ref(i)?.$int('spanned_pages'))
    expect(zones).toEqual([4095n, BigInt(0x37bfe - 4096), BigInt(2 ** 19 - 0x37bfe)])
    expect(k.mem.isMapped(0xc000_0000 + 0x37bf_e000 - 1)).toBe(true)
    expect(k.mem.isMapped(0xc000_0000 + 0x37bf_e000)).toBe(false)
  })
})

describe('symbols at given addresses', () => {
  const pinned = (symbols: Record<string, bigint>): Kernel =>
    booted('linux-3.13-i386', { symbols: new Map(Object.entries(symbols)) })
  const wanted = {
    sys_accept: 0xc149a070n,
    sys_connect: 0xc149a0a0n,
    sys_socketcall: 0xc149acd0n,
    sys_call_table: 0xc15b4000n,
  }

  test('they lie there, in kallsyms and in the table, and nothing else does', () => {
    const target = liveTarget(pinned(wanted))
    for (const [name, at] of Object.entries(wanted)) {
      expect(target.sym(name)).toBe(at)
      expect(target.symbolize(at)).toMatchObject({ name, offset: 0 })
    }
    expect(target.mem.pointer(0xc15b_4000 + 4 * 102)).toBe(0xc149_acd0)
    const at = target.sym('sys_socketcall')
    const inside = [...target.symbols.kernel()].filter(({ va }) => BigInt(va) > at && BigInt(va) < at + 600n)
    expect(inside).toEqual([])
  })

  test.each([
    ['no such symbol', { sys_nothing: 0xc149a070n }, 'sys_nothing'],
    ['two that overlap', { sys_accept: 0xc149a070n, sys_connect: 0xc149a074n }, 'sys_connect'],
    ['outside text and read-only data', { sys_accept: 0xc2000000n }, 'sys_accept'],
    ['in user space', { sys_accept: 0x8048000n }, 'sys_accept'],
  ])('%s is refused, and the symbol named', (_title, symbols, name) => {
    let error: unknown
    try {
      pinned(symbols)
    } catch (e) {
      error = e
    }
    expect(error).toBeInstanceOf(PinnedSymbolError)
    expect(error).toMatchObject({ code: 'BAD_ARGUMENT', symbol: name })
  })

  test('x86-64 has them too', () => {
    const profile = findProfile('ubuntu-5.15-x86_64')
    if (profile === undefined) throw new Error('no such profile')
    const at = 0xffffffff81234560n
    const k = createKernel({ ...DEFAULT_BOOT, profile, symbols: new Map([['tcp_v4_rcv', at]]) })
    expect(k.sym('tcp_v4_rcv')).toBe(at)
    expect(k.codeAt(at)?.kfunc.name).toBe('tcp_v4_rcv')
  })
})

test('members read alike on either word size: what is a number here is one there', () => {
  const [wide, narrow] = [bootedMachine().types, booted('linux-3.13-i386').types]
  const kind = (types: typeof wide, struct: string, member: string): string => {
    const type = strip(types.place(struct, member).type)
    return type.kind
  }
  for (const [struct, member] of [
    ['iov_iter', 'count'],
    ['task_struct', 'flags'],
    ['mm_struct', 'total_vm'],
    ['kvec', 'iov_len'],
  ] as const) {
    expect(kind(narrow, struct, member)).toBe(kind(wide, struct, member))
  }
  const k = booted('linux-3.13-i386')
  const iter = k.ref('iov_iter', k.sym('init_stack'))
  expect(typeof iter.count).toBe('bigint')
  expect(typeof k.ref('kvec', iter).iov_len).toBe('bigint')
})
