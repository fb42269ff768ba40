/** Address spaces: made, copied and dropped with the tasks that use them. @see kernel/fork.c:mm_init, dup_mm, mmput */

import { toVa, type Va } from '../../base/addr.ts'
import type { kmem_cache, mm_struct, task_struct, vm_area_struct } from '../../btf/vmlinux.ts'
import { TASK_SIZE_MAX } from '../../abi/page.ts'
import { CLONE_VM } from '../../abi/sched.ts'
import { INIT_LIST_HEAD } from '../../structures/list.ts'
import { mt_build, type MapleNodes } from '../../structures/maple_build.ts'
import { init_top_pgt, paging } from '../arch/x86/mm/pgtable.ts'
import { deref } from '../deref.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { kfunc } from '../kfunc.ts'
import { atomic_long_inc } from '../lib/atomic_long.ts'
import { setCachePointer } from '../lib/xarray.ts'
import { userPagesOf } from '../kernel/sched/switch.ts'
import { alloc_pages, free_pages, page_address, virt_to_pfn } from './page_alloc.ts'
import { kmem_cache_create, SLAB_ACCOUNT, SLAB_HWCACHE_ALIGN, SLAB_PANIC } from './slab_common.ts'
import { kmem_cache_alloc, kmem_cache_free, kmem_cache_zalloc } from './slub.ts'
import { copyUserPages, free_pgtables, freeUserPages } from './user_pages.ts'

/** VMAs by the maple tree: MT_FLAGS_ALLOC_RANGE, MT_FLAGS_LOCK_EXTERN, MT_FLAGS_USE_RCU. */
const MM_MT_FLAGS = 0x303
/** MMF_DUMP default and MMF_HAS_MDWE…: what a plain process has. */
const MMF_INIT = 205n

interface State {
  mm: kmem_cache | undefined
  vma: kmem_cache | undefined
  maple: kmem_cache | undefined
  /** The VMAs of each mm in order: an index into the maple tree. */
  readonly vmas: Map<Va, vm_area_struct[]>
  readonly nodes: Map<Va, Va[]>
}
const state = perKernel<State>(() => ({
  mm: undefined,
  vma: undefined,
  maple: undefined,
  vmas: new Map(),
  nodes: new Map(),
}))

/** @see kernel/fork.c:proc_caches_init, lib/maple_tree.c:maple_tree_init */
export function mm_cache_init(k: Kernel): void {
  const s = state(k)
  const flags = SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT
  s.mm = kmem_cache_create(k, 'mm_struct', k.types.sizeof('mm_struct') + 8, { flags })
  s.vma = kmem_cache_create(k, 'vm_area_struct', k.types.sizeof('vm_area_struct'), {
    flags: SLAB_PANIC | SLAB_ACCOUNT,
  })
  s.maple = kmem_cache_create(k, 'maple_node', 256, { align: 256, flags: SLAB_PANIC })
  setCachePointer(k, 'mm_cachep', s.mm)
  setCachePointer(k, 'vm_area_cachep', s.vma)
  setCachePointer(k, 'maple_node_cache', s.maple)
  const init_mm = k.global('init_mm', 'mm_struct')
  init_mm.mm_users.counter = 2
  init_mm.mm_count.counter = 1
  k.mem.setPointer(init_mm.$vaOf('pgd'), init_top_pgt(k))
  INIT_LIST_HEAD(k.mem, init_mm.$vaOf('mmap_lock.wait_list'))
  INIT_LIST_HEAD(k.mem, init_mm.mmlist.$va)
}

/** An empty address space. @see kernel/fork.c:mm_alloc */
export const mm_alloc = kfunc('kernel/fork.c', function mm_alloc(k, owner: task_struct): mm_struct {
  const mm = k.ref('mm_struct', kmem_cache_zalloc(k, state(k).mm as kmem_cache))
  mm.mm_users.counter = 1
  mm.mm_count.counter = 1
  mm.mm_mt.ma_flags = MM_MT_FLAGS
  INIT_LIST_HEAD(k.mem, mm.$vaOf('mmap_lock.wait_list'))
  INIT_LIST_HEAD(k.mem, mm.mmlist.$va)
  mm.owner = owner
  mm.user_ns = k.global('init_user_ns', 'user_namespace')
  mm.flags = MMF_INIT
  mm.task_size = BigInt(TASK_SIZE_MAX(k.mem.wordSize))
  if (mm.$has('pasid')) mm.pasid = 0xffff_ffff
  k.mem.setPointer(mm.$vaOf('pgd'), pgd_alloc(k))
  userPagesOf(k).set(mm.$va, new Map())
  state(k).vmas.set(mm.$va, [])
  return mm
})

/** A top table whose kernel half is the kernel's. @see arch/x86/mm/pgtable.c:pgd_alloc */
function pgd_alloc(k: Kernel): Va {
  const pgd = page_address(k, alloc_pages(k))
  const { userEntries, topEntries, entrySize } = paging(k)
  const from = userEntries * entrySize
  k.mem.copy(pgd + from, init_top_pgt(k) + from, topEntries * entrySize - from)
  return pgd
}

/** VMAs in order of address. */
export const vmasOf = (k: Kernel, mm: mm_struct): readonly vm_area_struct[] => state(k).vmas.get(mm.$va) ?? []

/** @see kernel/fork.c:vm_area_alloc */
export function vm_area_alloc(k: Kernel, mm: mm_struct): vm_area_struct {
  const vma = k.ref('vm_area_struct', kmem_cache_zalloc(k, state(k).vma as kmem_cache))
  vma.vm_mm = mm
  INIT_LIST_HEAD(k.mem, vma.anon_vma_chain.$va)
  return vma
}

/** Add VMAs, filled in, and count them. @see mm/mmap.c:insert_vm_struct */
export function insert_vm_structs(k: Kernel, mm: mm_struct, fresh: readonly vm_area_struct[]): void {
  const all = [...vmasOf(k, mm), ...fresh].sort((a, b) => (a.vm_start < b.vm_start ? -1 : 1))
  setVmas(k, mm, all)
}

/** Take a VMA out and free it. @see mm/mmap.c:remove_vma */
export function remove_vma(k: Kernel, mm: mm_struct, vma: vm_area_struct): void {
  const left = vmasOf(k, mm).filter((v) => !v.$equals(vma))
  setVmas(k, mm, left)
  kmem_cache_free(k, state(k).vma as kmem_cache, vma.$va)
}

function setVmas(k: Kernel, mm: mm_struct, all: vm_area_struct[]): void {
  const s = state(k)
  s.vmas.set(mm.$va, all)
  mm.map_count = all.length
  const cache = s.maple as kmem_cache
  const nodes: MapleNodes = {
    alloc: () => kmem_cache_zalloc(k, cache),
    free: (node) => kmem_cache_free(k, cache, node),
  }
  const old = s.nodes.get(mm.$va) ?? []
  const ranges = all.map((vma) => ({
    first: vma.vm_start,
    last: vma.vm_end - 1n,
    entry: vma.$addr,
  }))
  s.nodes.set(mm.$va, mt_build(k.types, k.mem, mm.mm_mt.$va, ranges, nodes))
  for (const node of old) nodes.free(node)
}

/** The VMA an address lies in. @see mm/mmap.c:find_vma */
export function find_vma(k: Kernel, mm: mm_struct, address: Va): vm_area_struct | undefined {
  const at = BigInt(address)
  return vmasOf(k, mm).find((vma) => at >= vma.vm_start && at < vma.vm_end)
}

/** @see kernel/fork.c:copy_mm */
export function copy_mm(k: Kernel, flags: number, p: task_struct): void {
  const old = p.mm
  p.mm = null
  p.active_mm = null
  if (old === null) return
  if ((flags & CLONE_VM) !== 0) {
    old.mm_users.counter = old.mm_users.counter + 1
    p.mm = p.active_mm = old
    return
  }
  const mm = dup_mm(k, p, old)
  p.mm = p.active_mm = mm
}

/** @see kernel/fork.c:dup_mm */
const dup_mm = kfunc('kernel/fork.c', function dup_mm(k, p: task_struct, old: mm_struct): mm_struct {
  const mm = mm_alloc(k, p)
  const keep = ['pgd', 'mm_mt', 'mm_users', 'mm_count', 'mmap_lock', 'mmlist', 'owner', 'map_count']
  const own = keep.map((member) => {
    const place = k.types.place('mm_struct', member)
    const at = mm.$vaOf(member)
    return { at, bytes: k.mem.read(at, k.types.sizeof(place.type)) }
  })
  k.mem.copy(mm.$va, old.$va, old.$size)
  for (const { at, bytes } of own) k.mem.write(at, bytes)
  INIT_LIST_HEAD(k.mem, mm.$vaOf('context.ldt_usr_sem.wait_list'))
  INIT_LIST_HEAD(k.mem, mm.$vaOf('context.lock.wait_list'))
  if (mm.exe_file !== null) atomic_long_inc(mm.exe_file.f_count)
  const copies = vmasOf(k, old).map((vma) => {
    const copy = k.ref('vm_area_struct', kmem_cache_alloc(k, state(k).vma as kmem_cache))
    k.mem.copy(copy.$va, vma.$va, vma.$size)
    copy.vm_mm = mm
    INIT_LIST_HEAD(k.mem, copy.anon_vma_chain.$va)
    const file = copy.vm_file
    if (file !== null) atomic_long_inc(file.f_count)
    return copy
  })
  setVmas(k, mm, copies)
  copyUserPages(k, old, mm)
  return mm
})

/** A task lets go of its address space. @see kernel/fork.c:mmput */
export const mmput = kfunc(
  'kernel/fork.c',
  function mmput(k, mm: mm_struct, putFile: (file: NonNullable<mm_struct['exe_file']>) => void) {
    mm.mm_users.counter = mm.mm_users.counter - 1
    if (mm.mm_users.counter > 0) return
    for (const vma of vmasOf(k, mm)) {
      if (vma.vm_file !== null) putFile(vma.vm_file)
      kmem_cache_free(k, state(k).vma as kmem_cache, vma.$va)
    }
    setVmas(k, mm, [])
    if (mm.exe_file !== null) putFile(mm.exe_file)
    mm.exe_file = null
    freeUserPages(k, mm)
    free_pgtables(k, mm)
    mmdrop(k, mm)
  },
)

/** Nobody borrows it any more. @see kernel/fork.c:__mmdrop */
export const mmdrop = kfunc('kernel/fork.c', function __mmdrop(k, mm: mm_struct) {
  if (mm.mm_count.counter > 0) mm.mm_count.counter = mm.mm_count.counter - 1
  if (mm.mm_count.counter > 0) return
  const pgd = toVa(deref(mm.pgd).$addr, k.mem.wordSize)
  free_pages(k, virt_to_pfn(k, pgd), 0)
  state(k).vmas.delete(mm.$va)
  state(k).nodes.delete(mm.$va)
  userPagesOf(k).delete(mm.$va)
  kmem_cache_free(k, state(k).mm as kmem_cache, mm.$va)
})
