import { describe, expect, test } from 'vitest'
import {
  calculate_sizes,
  kmem_cache_create,
  pin,
  SLAB_HWCACHE_ALIGN,
  SLAB_TYPESAFE_BY_RCU,
} from '../../../../src/linux/mm/slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free } from '../../../../src/linux/mm/slub.ts'
import { kfree, kmalloc } from '../../../../src/linux/mm/slab.ts'
import { module_alloc, vfree } from '../../../../src/linux/mm/vmalloc.ts'
import { bootedMachine } from '../../../support/machine.ts'

const ctor = (): undefined => undefined

describe('SLUB arithmetic of a 6.1 kernel with two CPUs', () => {
  test.each([
    ['sock_inode_cache', 768, { flags: SLAB_HWCACHE_ALIGN, ctor }, 832, 2, 19],
    ['TCP', 2280, { flags: SLAB_HWCACHE_ALIGN | SLAB_TYPESAFE_BY_RCU }, 2304, 3, 14],
    ['request_sock_TCP', 304, { flags: SLAB_TYPESAFE_BY_RCU }, 312, undefined, undefined],
    ['tw_sock_TCP', 264, { flags: SLAB_TYPESAFE_BY_RCU }, 272, undefined, undefined],
    ['filp', 232, { flags: SLAB_HWCACHE_ALIGN }, 256, 0, 16],
    ['dentry', 192, {}, 192, 0, 21],
    ['mm_struct', 1096, { flags: SLAB_HWCACHE_ALIGN }, 1152, undefined, undefined],
    [
      'sighand_cache',
      2080,
      { flags: SLAB_HWCACHE_ALIGN | SLAB_TYPESAFE_BY_RCU, ctor },
      2112,
      undefined,
      undefined,
    ],
  ])('%s: %i bytes', (_name, object, options, stride, order, objects) => {
    const got = calculate_sizes(object, options, 2, 8)
    expect(got.size).toBe(stride)
    if (order !== undefined) expect([got.order, got.objects]).toEqual([order, objects])
  })
})

describe('allocation', () => {
  test('objects lie at slab base plus a multiple of the stride, and are not handed out twice', () => {
    const k = bootedMachine()
    const cache = kmem_cache_create(k, 'test', 304, { flags: SLAB_TYPESAFE_BY_RCU })
    const got = Array.from({ length: 40 }, () => kmem_cache_alloc(k, cache))
    expect(new Set(got).size).toBe(40)
    const bytes = 4096 << (k.mem.u32(cache.$vaOf('oo')) >>> 16)
    for (const va of got) expect((((va % bytes) + bytes) % bytes) % 312).toBe(0)
  })

  test('a freed object is the next one allocated, and keeps its bytes in an RCU cache', () => {
    const k = bootedMachine()
    const cache = kmem_cache_create(k, 'test', 64, { flags: SLAB_TYPESAFE_BY_RCU })
    const va = kmem_cache_alloc(k, cache)
    k.mem.setU32(va, 0xfeedface)
    kmem_cache_free(k, cache, va)
    expect(kmem_cache_alloc(k, cache)).toBe(va)
    expect(k.mem.u32(va)).toBe(0xfeedface)
  })

  test('memory goes back: as many frames are free after all objects are', () => {
    const k = bootedMachine()
    const big = Array.from({ length: 20 }, () => kmalloc(k, 20_000))
    for (const va of big) kfree(k, va)
    const small = Array.from({ length: 200 }, () => kmalloc(k, 100))
    for (const va of small) kfree(k, va)
    expect(kmalloc(k, 100)).toBe(small.at(-1))
  })

  test('a pinned object lies where it was asked to', () => {
    const k = bootedMachine({ memoryBytes: 2048 * 2 ** 20 })
    const cache = kmem_cache_create(k, 'TCP', 2280, { flags: SLAB_HWCACHE_ALIGN | SLAB_TYPESAFE_BY_RCU })
    pin(k, 'TCP', 0xffff888007a4e040n)
    const ref = k.ref('sock', kmem_cache_alloc(k, cache))
    expect(ref.$addr).toBe(0xffff888007a4e040n)
    kmem_cache_free(k, cache, ref.$va)
  })

  test.each([
    ['misaligned', 0xffff888007a4e041n],
    ['outside memory', 0xffff888fffa4e040n],
    ['in use', 0xffff888001000000n],
  ])('a pin that is %s is refused', (_why, at) => {
    const k = bootedMachine()
    kmem_cache_create(k, 'TCP', 2280, { flags: SLAB_HWCACHE_ALIGN })
    expect(() => { pin(k, 'TCP', at) }).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' })) // prettier-ignore
  })

  test('module memory is mapped by the page tables and its address comes again after vfree', () => {
    const k = bootedMachine()
    const va = module_alloc(k, 10_000)
    k.mem.setU32(va + 8192, 7)
    expect(k.mem.u32(va + 8192)).toBe(7)
    vfree(k, va)
    expect(() => k.mem.u32(va)).toThrow(expect.objectContaining({ code: 'FAULT' }))
    expect(module_alloc(k, 100)).toBe(va)
  })
})
