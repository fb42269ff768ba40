/**
 * AppArmor without a policy loaded: the root namespace, its `unconfined` profile, and the counting of labels.
 * Every task, file and sock carries the unconfined label.
 *
 * @see security/apparmor/policy_ns.c, security/apparmor/policy.c, security/apparmor/label.c
 * @remarks no profiles can be loaded; the rule tables (`nulldfa`) of the unconfined profile are absent.
 */

import { toVa, type Va } from '../../../base/addr.ts'
import type { aa_label, aa_ns, aa_policy, aa_profile, cred } from '../../../btf/vmlinux.ts'
import { INIT_LIST_HEAD } from '../../../structures/list.ts'
import { RB_CLEAR_NODE } from '../../../structures/rbtree.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kmalloc } from '../../mm/slab.ts'
import { blobPart } from '../security/blob.ts'

/** security/apparmor/include/policy.h:enum profile_mode */
const APPARMOR_UNCONFINED = 3n
/** FLAG_PROFILE, FLAG_UNCONFINED, FLAG_NS_COUNT, FLAG_IX_ON_NAME_ERROR. @see security/apparmor/include/label.h */
const UNCONFINED_FLAGS = 0x29an
/** Room behind a profile for its label's vector: the profile itself, and NULL. */
const VECTOR_ENTRIES = 2

const unconfined = perKernel((k) => {
  const ns = k.ref('aa_ns', k.mem.pointer(toVa(k.sym('root_ns'), k.mem.wordSize)))
  const profile = ns.unconfined
  return profile === null ? undefined : profile.label
})

/** @see security/apparmor/policy_ns.c:aa_alloc_root_ns */
export function aa_alloc_root_ns(k: Kernel): void {
  const ns = k.ref('aa_ns', kmalloc(k, k.types.sizeof('aa_ns')))
  aa_policy_init(k, ns.base, 'root')
  for (const list of ['sub_ns', 'rawdata_list']) INIT_LIST_HEAD(k.mem, ns.$vaOf(list))
  for (const list of ['lock.wait_list', 'wait.head']) INIT_LIST_HEAD(k.mem, ns.$vaOf(list))
  ns.unconfined = alloc_unconfined(k, ns, 'unconfined', 2)
  k.mem.setPointer(toVa(k.sym('root_ns'), k.mem.wordSize), ns.$va)
  const kernel = alloc_unconfined(k, ns, 'kernel_t', 1)
  k.mem.setPointer(toVa(k.sym('kernel_t'), k.mem.wordSize), kernel.label.$va)
}

/** @see security/apparmor/policy_ns.c:alloc_unconfined */
function alloc_unconfined(k: Kernel, ns: aa_ns, name: string, secid: number): aa_profile {
  const vector = VECTOR_ENTRIES * k.mem.wordSize
  const profile = k.ref('aa_profile', kmalloc(k, k.types.sizeof('aa_profile') + vector))
  aa_policy_init(k, profile.base, name)
  profile.ns = ns
  profile.mode = APPARMOR_UNCONFINED
  const { label } = profile
  k.mem.setU32(label.$va, 1)
  RB_CLEAR_NODE(k.mem, label.node.$va)
  label.hname = profile.base.hname
  label.flags = UNCONFINED_FLAGS
  label.secid = secid
  label.size = 1
  label.vec.set(0, profile)
  const proxy = kmalloc(k, 2 * k.mem.wordSize)
  k.mem.setU32(proxy, 1)
  k.mem.setPointer(proxy + k.mem.wordSize, label.$va)
  k.mem.setPointer(label.$vaOf('proxy'), proxy)
  return profile
}

/** @see security/apparmor/lib.c:aa_policy_init */
function aa_policy_init(k: Kernel, policy: aa_policy, name: string): void {
  const text = aa_str_alloc(k, name)
  k.mem.setPointer(policy.$vaOf('name'), text)
  k.mem.setPointer(policy.$vaOf('hname'), text)
  INIT_LIST_HEAD(k.mem, policy.$vaOf('list'))
  INIT_LIST_HEAD(k.mem, policy.$vaOf('profiles'))
}

/** A counted string: users point behind the count. @see security/apparmor/lib.c:aa_str_alloc */
function aa_str_alloc(k: Kernel, text: string): Va {
  const bytes = Buffer.from(`${text}\0`, 'latin1')
  const va = kmalloc(k, 4 + bytes.length)
  k.mem.setU32(va, 1)
  k.mem.write(va + 4, bytes)
  return va + 4
}

/** @see security/apparmor/include/label.h:aa_get_label */
export function aa_get_label(k: Kernel, label: aa_label | null): aa_label | null {
  if (label !== null) k.mem.setU32(label.$va, k.mem.u32(label.$va) + 1)
  return label
}

/** @see security/apparmor/include/label.h:aa_put_label */
export function aa_put_label(k: Kernel, label: aa_label | null): void {
  if (label !== null) k.mem.setU32(label.$va, k.mem.u32(label.$va) - 1)
}

/** The label of everything no policy names. */
export const unconfined_label = (k: Kernel): aa_label | null => unconfined(k) ?? null

/** Where a cred keeps its label. */
const credLabelAt = (k: Kernel, cred: cred): Va =>
  blobPart(k, cred.security, 'apparmor_blob_sizes', 'lbs_cred')

/** The label of a cred. @see security/apparmor/include/cred.h:cred_label */
export function cred_label(k: Kernel, cred: cred | null): aa_label | null {
  if (cred === null || cred.security === 0n) return null
  const va = k.mem.pointer(credLabelAt(k, cred))
  return va === 0 ? null : k.ref('aa_label', va)
}

/** @see security/apparmor/include/cred.h:set_cred_label */
export function set_cred_label(k: Kernel, cred: cred, label: aa_label | null): void {
  k.mem.setPointer(credLabelAt(k, cred), label === null ? 0 : label.$va)
}
