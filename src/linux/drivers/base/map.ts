/** From device numbers to what serves them: ranges of numbers, the narrowest first. @see drivers/base/map.c */

import type { Va } from '../../../base/addr.ts'
import { toVa } from '../../../base/addr.ts'
import type { StructRef } from '../../../btf/ref.ts'
import type { kobj_map as KobjMap, module } from '../../../btf/vmlinux.ts'
import { MAJOR } from '../../../abi/stat.ts'
import { kfunc } from '../../kfunc.ts'
import type { Kernel } from '../../kernel.ts'
import { kfree, kmalloc, kzalloc } from '../../mm/slab.ts'

const FILE = 'drivers/base/map.c'
const SLOTS = 255
/** Chains are as long as ranges overlap. */
const CHAIN_MAX = 4096

/** `kobj_probe_t`: the kobject of a device number */
export type Probe = (k: Kernel, dev: number, data: Va) => Va

/** `struct probe`, which only this file knows: a range of device numbers and who serves it. */
const probeAt = (k: Kernel, va: Va): StructRef => k.ref('probe', va)

const slotOf = (domain: KobjMap, dev: number): Va => domain.probes.$vaAt(MAJOR(dev) % SLOTS)

/** Majors a range of numbers touches. */
const majors = (dev: number, range: number): number =>
  Math.min(MAJOR(dev + range - 1) - MAJOR(dev) + 1, SLOTS)

/**
 * @param dev,range device numbers from `dev` on
 * @param probe     `kobj_probe_t *`: text address
 * @param data      handed to it
 */
export const kobj_map = kfunc(
  FILE,
  function kobj_map(
    k: Kernel,
    domain: KobjMap,
    dev: number,
    range: number,
    owner: module | null,
    probe: bigint,
    data: Va,
  ): number {
    for (let i = 0; i < majors(dev, range); i++) {
      const p = probeAt(k, kmalloc(k, k.types.sizeof('probe')))
      p.$set('dev', dev)
      p.$set('range', BigInt(range))
      p.$set('owner', owner)
      p.$set('get', probe)
      k.mem.setPointer(p.$vaOf('data'), data)
      let link: Va = slotOf(domain, dev + i * 2 ** 20)
      for (let hops = 0; hops < CHAIN_MAX; hops++) {
        const next = k.mem.pointer(link)
        if (next === 0 || probeAt(k, next).$int('range') >= BigInt(range)) break
        link = next
      }
      k.mem.setPointer(p.$vaOf('next'), k.mem.pointer(link))
      k.mem.setPointer(link, p.$va)
    }
    return 0
  },
)

export const kobj_unmap = kfunc(
  FILE,
  function kobj_unmap(k: Kernel, domain: KobjMap, dev: number, range: number): void {
    for (let i = 0; i < majors(dev, range); i++) {
      let link: Va = slotOf(domain, dev + i * 2 ** 20)
      for (let hops = 0; hops < CHAIN_MAX; hops++) {
        const found = k.mem.pointer(link)
        if (found === 0) break
        const p = probeAt(k, found)
        if (p.$int('dev') === BigInt(dev) && p.$int('range') === BigInt(range)) {
          k.mem.setPointer(link, k.mem.pointer(p.$vaOf('next')))
          kfree(k, found)
          break
        }
        link = found
      }
    }
  },
)

/** @returns the kobject of what serves a number; 0 when nothing does */
export const kobj_lookup = kfunc(FILE, function kobj_lookup(k: Kernel, domain: KobjMap, dev: number): Va {
  let at = k.mem.pointer(slotOf(domain, dev))
  for (let hops = 0; at !== 0 && hops < CHAIN_MAX; hops++) {
    const p = probeAt(k, at)
    const past = BigInt(dev) - p.$int('dev')
    const inside = past >= 0n && past < p.$int('range')
    if (inside) return k.indirect<Probe>(p.$int('get'))(k, dev, k.mem.pointer(p.$vaOf('data')))
    at = k.mem.pointer(p.$vaOf('next'))
  }
  return 0
})

/** A map in which every number is served by `base`. */
export const kobj_map_init = kfunc(FILE, function kobj_map_init(k: Kernel, base: bigint): KobjMap {
  const domain = k.ref('kobj_map', kmalloc(k, k.types.sizeof('kobj_map')))
  const p = probeAt(k, kzalloc(k, k.types.sizeof('probe')))
  p.$set('dev', 1)
  p.$set('range', k.mem.wordSize === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn)
  p.$set('get', base)
  for (let i = 0; i < SLOTS; i++) k.mem.setPointer(domain.probes.$vaAt(i), p.$va)
  return domain
})

/** Where a symbol's pointer lies. */
export const pointerAt = (k: Kernel, symbol: string): Va => toVa(k.sym(symbol), k.mem.wordSize)
