/** The hook lists as they lie in memory, walked by the calls and read back entry by entry. */

import { describe, expect, test } from 'vitest'
import { toVa, type Va } from '../../../../src/base/addr.ts'
import { readString } from '../../../../src/helpers/kernel.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { kmalloc } from '../../../../src/linux/mm/slab.ts'
import { findProfile } from '../../../../src/linux/profile.ts'
import * as security from '../../../../src/linux/security/security.ts'
import { kernelFunctions, kfunc } from '../../../../src/linux/kfunc.ts'
import {
  hlist_add_tail_rcu,
  hlist_del_rcu,
  hlist_for_each,
  validate_hlist,
} from '../../../../src/structures/hlist.ts'
import { bootedMachine } from '../../../support/machine.ts'

/** A machine whose security modules are up, whatever boot does by now. */
function machine(profile = 'debian-6.1-x86_64'): Kernel {
  const k = bootedMachine({ profile: findProfile(profile) as NonNullable<ReturnType<typeof findProfile>> })
  if (k.mem.pointer(toVa(k.sym('lsm_names'))) === 0) security.security_init(k)
  const init = k.global('init_task', 'task_struct')
  if (init.cred === null) init.cred = k.global('init_cred', 'cred')
  return k
}

const chain = (k: Kernel, head: string): string[] =>
  Array.from(hlist_for_each(k.mem, security.hook_head(k, head)), (node) => {
    const hook = k.mem.word(node + k.types.offsetof('security_hook_list', 'hook'))
    return k.codeAt(hook)?.kfunc.name ?? hook.toString(16)
  })

const freshSock = (k: Kernel) => k.ref('sock', kmalloc(k, k.types.sizeof('sock')))

describe('security_hook_heads', () => {
  test.each([
    ['debian-6.1-x86_64', 'socket_recvmsg', ['apparmor_socket_recvmsg', 'bpf_lsm_socket_recvmsg']],
    [
      'debian-6.1-x86_64',
      'socket_bind',
      ['apparmor_socket_bind', 'tomoyo_socket_bind', 'bpf_lsm_socket_bind'],
    ],
    ['debian-6.1-x86_64', 'capable', ['cap_capable', 'apparmor_capable', 'bpf_lsm_capable']],
    [
      'debian-6.1-x86_64',
      'cred_prepare',
      ['hook_cred_prepare', 'apparmor_cred_prepare', 'tomoyo_cred_prepare', 'bpf_lsm_cred_prepare'],
    ],
    ['debian-6.1-x86_64', 'inet_csk_clone', ['bpf_lsm_inet_csk_clone']],
    ['ubuntu-5.15-x86_64', 'socket_recvmsg', ['apparmor_socket_recvmsg']],
    ['ubuntu-5.15-x86_64', 'inet_csk_clone', []],
  ])('%s: %s', (profile, head, hooks) => {
    expect(chain(machine(profile), head)).toEqual(hooks)
  })

  test('every list is whole and every hook is a function that can be called', () => {
    const k = machine()
    for (const { name } of k.types.struct('security_hook_heads').members) {
      const head = security.hook_head(k, name)
      expect(validate_hlist(k.mem, head)).toEqual([])
      for (const hook of chain(k, name)) expect(hook).not.toMatch(/^[0-9a-f]+$/)
    }
    expect(readString(k.mem, k.mem.pointer(toVa(k.sym('lsm_names'))))).toBe(
      'lockdown,capability,landlock,yama,apparmor,tomoyo,bpf',
    )
  })

  test('entries lie where a real kernel has them: socket_recvmsg is the 38th of AppArmor', () => {
    const k = machine()
    const [first] = hlist_for_each(k.mem, security.hook_head(k, 'socket_recvmsg'))
    expect(first).toBe(toVa(k.sym('apparmor_hooks')) + 1480)
    expect(security.hook_head(k, 'socket_recvmsg')).toBe(toVa(k.sym('security_hook_heads')) + 0x568)
  })
})

describe('calling hooks', () => {
  let asked = 0
  const denier = kfunc(
    'test.c',
    function denier(): number {
      asked++
      return -13
    },
    { module: 'test' },
  )

  function link(k: Kernel, head: string): Va {
    k.placeText(
      kernelFunctions[denier.kfunc.id] as (typeof kernelFunctions)[number],
      0xffff_ffff_c000_0000n as never,
    )
    const entry = k.ref('security_hook_list', kmalloc(k, 40))
    k.mem.setWord(entry.$vaOf('hook'), k.text(denier))
    hlist_add_tail_rcu(k.mem, entry.list.$va, security.hook_head(k, head))
    return entry.list.$va
  }

  test('an entry linked in memory is asked after the others, and its answer returned', () => {
    const k = machine()
    const [sock, msg] = [k.ref('socket', kmalloc(k, 128)), k.ref('msghdr', kmalloc(k, 128))]
    expect(security.security_socket_recvmsg(k, sock, msg, 10, 0)).toBe(0)
    asked = 0
    const node = link(k, 'socket_recvmsg')
    expect(security.security_socket_recvmsg(k, sock, msg, 10, 0)).toBe(-13)
    expect(asked).toBe(1)
    hlist_del_rcu(k.mem, node)
    expect(security.security_socket_recvmsg(k, sock, msg, 10, 0)).toBe(0)
  })
})

describe('blobs', () => {
  test('a sock has AppArmor label of its maker; a clone that of its listener', () => {
    const k = machine()
    const [listener, child] = [freshSock(k), freshSock(k)]
    expect(security.security_sk_alloc(k, listener, 2)).toBe(0)
    const sock = k.ref('socket', kmalloc(k, 128))
    sock.sk = listener
    security.security_socket_post_create(k, sock, 2, 1, 6, 0)
    const label = k.mem.pointer(toVa(listener.sk_security))
    const root = k.ref('aa_ns', k.mem.pointer(toVa(k.sym('root_ns'))))
    expect(label).toBe(root.unconfined?.label.$va)
    const users = k.mem.u32(label)
    security.security_sk_alloc(k, child, 2)
    security.security_sk_clone(k, listener, child)
    expect(k.mem.pointer(toVa(child.sk_security))).toBe(label)
    expect(k.mem.pointer(toVa(child.sk_security) + 8)).toBe(0)
    expect(k.mem.u32(label)).toBe(users + 1)
    security.security_sk_free(k, child)
    expect(child.sk_security).toBe(0n)
    expect(k.mem.u32(label)).toBe(users)
  })

  test('a copied cred has a blob of its own with the same label; capabilities are read from it', () => {
    const k = machine()
    const init = k.global('init_cred', 'cred')
    const fresh = k.ref('cred', kmalloc(k, k.types.sizeof('cred')))
    k.mem.copy(fresh.$va, init.$va, fresh.$size)
    expect(security.security_prepare_creds(k, fresh, init)).toBe(0)
    expect(fresh.security).not.toBe(init.security)
    expect(k.mem.pointer(toVa(fresh.security) + 8)).toBe(k.mem.pointer(toVa(init.security) + 8))
    k.mem.setU32(fresh.cap_effective.$va, 1 << 10)
    k.mem.setU32(fresh.cap_effective.$va + 4, 0)
    expect(security.security_capable(k, fresh, null, 10)).toBe(0)
    expect(security.security_capable(k, fresh, null, 12)).toBe(-1)
  })

  test('a task is in its maker’s TOMOYO domain', () => {
    const k = machine()
    const task = k.ref('task_struct', kmalloc(k, k.types.sizeof('task_struct')))
    expect(security.security_task_alloc(k, task, 0)).toBe(0)
    expect(k.mem.word(toVa(task.security) + 56)).toBe(k.sym('tomoyo_kernel_domain'))
    security.security_task_free(k, task)
    expect(task.security).toBe(0n)
  })

  test('a file has a label, an inode room for Landlock and BPF', () => {
    const k = machine()
    const file = k.ref('file', kmalloc(k, k.types.sizeof('file')))
    const inode = k.ref('inode', kmalloc(k, k.types.sizeof('inode')))
    expect(security.security_file_alloc(k, file)).toBe(0)
    expect(security.security_inode_alloc(k, inode)).toBe(0)
    expect(file.f_security).not.toBe(0n)
    expect(inode.i_security).not.toBe(0n)
    security.security_file_free(k, file)
    security.security_inode_free(k, inode)
    expect([file.f_security, inode.i_security]).toEqual([0n, 0n])
  })
})
