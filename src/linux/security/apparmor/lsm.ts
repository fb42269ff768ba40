/**
 * AppArmor's hooks that do something while nothing is confined: they hand the label on. All others answer 0.
 *
 * @see security/apparmor/lsm.c
 */

import type { aa_sk_ctx, cred, file, sock, socket } from '../../../btf/vmlinux.ts'
import type { Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { blobPart } from '../security/blob.ts'
import {
  aa_alloc_root_ns,
  aa_get_label,
  aa_put_label,
  cred_label,
  set_cred_label,
  unconfined_label,
} from './policy.ts'

const FILE = 'security/apparmor/lsm.c'

/** The boot task is unconfined, and with it all its children. @see security/apparmor/lsm.c:apparmor_init */
export function apparmor_init(k: Kernel): void {
  aa_alloc_root_ns(k)
  const cred = k.global('init_cred', 'cred')
  set_cred_label(k, cred, aa_get_label(k, unconfined_label(k)))
}

/** @see security/apparmor/include/net.h:SK_CTX */
function SK_CTX(k: Kernel, sk: sock): aa_sk_ctx {
  return k.ref('aa_sk_ctx', blobPart(k, sk.sk_security, 'apparmor_blob_sizes', 'lbs_sock'))
}

export const apparmor_cred_alloc_blank = kfunc(
  FILE,
  function apparmor_cred_alloc_blank(k, cred: cred): number {
    set_cred_label(k, cred, aa_get_label(k, unconfined_label(k)))
    return 0
  },
)

export const apparmor_cred_prepare = kfunc(
  FILE,
  function apparmor_cred_prepare(k, fresh: cred, old: cred): number {
    set_cred_label(k, fresh, aa_get_label(k, cred_label(k, old)))
    return 0
  },
)

export const apparmor_cred_transfer = kfunc(
  FILE,
  function apparmor_cred_transfer(k, fresh: cred, old: cred): number {
    set_cred_label(k, fresh, aa_get_label(k, cred_label(k, old)))
    return 0
  },
)

export const apparmor_cred_free = kfunc(FILE, function apparmor_cred_free(k, cred: cred): number {
  aa_put_label(k, cred_label(k, cred))
  set_cred_label(k, cred, null)
  return 0
})

/** A file remembers the label it was opened with. @see security/apparmor/lsm.c:apparmor_file_alloc_security */
export const apparmor_file_alloc_security = kfunc(
  FILE,
  function apparmor_file_alloc_security(k, file: file): number {
    const label = aa_get_label(k, cred_label(k, k.current.cred))
    const ctx = blobPart(k, file.f_security, 'apparmor_blob_sizes', 'lbs_file')
    // struct aa_file_ctx: a lock, then the label
    k.mem.setPointer(ctx + k.mem.wordSize, label === null ? 0 : label.$va)
    return 0
  },
)

export const apparmor_file_free_security = kfunc(
  FILE,
  function apparmor_file_free_security(k, file: file): number {
    const ctx = blobPart(k, file.f_security, 'apparmor_blob_sizes', 'lbs_file')
    const label = k.mem.pointer(ctx + k.mem.wordSize)
    if (label !== 0) aa_put_label(k, k.ref('aa_label', label))
    return 0
  },
)

/** A socket belongs to who made it. @see security/apparmor/lsm.c:apparmor_socket_post_create */
export const apparmor_socket_post_create = kfunc(
  FILE,
  function apparmor_socket_post_create(
    k,
    sock: socket,
    family: number,
    type: number,
    protocol: number,
    kern: number,
  ) {
    const { sk } = sock
    if (sk === null) return 0
    const ctx = SK_CTX(k, sk)
    aa_put_label(k, ctx.label)
    ctx.label = aa_get_label(k, kern !== 0 ? unconfined_label(k) : cred_label(k, k.current.cred))
    return 0
  },
)

/** The child of a listener has the listener's label. @see security/apparmor/lsm.c:apparmor_sk_clone_security */
export const apparmor_sk_clone_security = kfunc(
  FILE,
  function apparmor_sk_clone_security(k, sk: sock, newsk: sock): number {
    const ctx = SK_CTX(k, sk)
    const fresh = SK_CTX(k, newsk)
    aa_put_label(k, fresh.label)
    aa_put_label(k, fresh.peer)
    fresh.label = aa_get_label(k, ctx.label)
    fresh.peer = aa_get_label(k, ctx.peer)
    return 0
  },
)

export const apparmor_sk_free_security = kfunc(FILE, function apparmor_sk_free_security(k, sk: sock): number {
  const ctx = SK_CTX(k, sk)
  aa_put_label(k, ctx.label)
  aa_put_label(k, ctx.peer)
  return 0
})

/** An accepted socket gets its acceptor's label, unless it has one. @see security/apparmor/lsm.c:apparmor_sock_graft */
export const apparmor_sock_graft = kfunc(FILE, function apparmor_sock_graft(k, sk: sock): number {
  const ctx = SK_CTX(k, sk)
  if (ctx.label === null) ctx.label = aa_get_label(k, cred_label(k, k.current.cred))
  return 0
})
