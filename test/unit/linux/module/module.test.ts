/** Loading and unloading modules: what lies in memory afterwards, and what the log says. */

import { describe, expect, test } from 'vitest'
import { FaultError } from '../../../../src/base/errors.ts'
import { toVa } from '../../../../src/base/addr.ts'
import {
  for_each_module,
  module_name,
  module_refcount,
  module_regions,
  module_state,
  module_string,
  module_taints,
  module_users,
} from '../../../../src/helpers/module.ts'
import { OrcTables } from '../../../../src/helpers/orc.ts'
import { readString } from '../../../../src/helpers/kernel.ts'
import { log_records } from '../../../../src/helpers/printk.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import { defineModule, moduleOf } from '../../../../src/linux/kernel/module/api.ts'
import { delete_module, load_module } from '../../../../src/linux/kernel/module/main.ts'
import { kmalloc } from '../../../../src/linux/mm/slab.ts'
import { security_socket_recvmsg } from '../../../../src/linux/security/security.ts'
import { recvmsg_block } from '../../../../src/modules/recvmsg_block.ts'
import { get_kprobe } from '../../../../src/linux/kernel/kprobes.ts'
import { readModules } from '../../../../src/symbols/modules.ts'
import { moduleLayout } from '../../../../src/target/module-layout.ts'
import { validate_list } from '../../../../src/structures/list.ts'
import { validate_rbtree } from '../../../../src/structures/rbtree.ts'
import { layeredMachine } from '../../../support/layered-machine.ts'
import { liveTarget } from '../../../support/live-target.ts'
import { readerOf } from '../../../support/reader.ts'

/** Run to the end something that does not sleep. */
function now(work: unknown): number {
  const step = (work as Generator<unknown, number>).next()
  if (step.done !== true) throw new Error('it sleeps')
  return step.value
}
const insmod = (k: Kernel, module = recvmsg_block, args = ''): number => now(load_module(k, module, args))
const rmmod = (k: Kernel, name: string): number => now(delete_module(k, name))
const log = (k: Kernel): string[] => [...log_records(readerOf(k))].map(({ text }) => text)
const names = (k: Kernel): string[] => [...for_each_module(readerOf(k))].map(module_name)

const file = 'test_module.c'
const seen: string[] = []
const test_exit = kfunc(
  file,
  function test_exit() {
    seen.push('exit')
  },
  { module: 'test_module' },
)
const test_init = kfunc(
  file,
  function test_init(k) {
    const me = moduleOf(k, 'test_module')
    seen.push(`${me.int('pid')} ${me.charp('who') ?? 'NULL'} ${me.bool('flag')}`)
    return me.int('rc')
  },
  { module: 'test_module' },
)
const test_function = kfunc(file, function test_function() {}, { module: 'test_module' })
const base = {
  name: 'test_module',
  license: 'GPL',
  imports: ['_printk'],
  params: [
    { name: 'pid', type: 'int', value: 7 },
    { name: 'who', type: 'charp', value: 'nobody' },
    { name: 'flag', type: 'bool' },
    { name: 'rc', type: 'int' },
  ],
  functions: [test_function],
  exports: ['test_function'],
  init: test_init,
  exit: test_exit,
} as const
const test_module = defineModule(base)

describe('insmod', () => {
  test('a loaded module is on the list, live, with its symbols, sections, strings and taints', () => {
    const k = layeredMachine()
    expect(insmod(k, test_module, 'pid=0x10 who="one two" flag')).toBe(0)
    expect(seen.at(-1)).toBe('16 one two true')
    const reader = readerOf(k)
    const [mod] = [...for_each_module(reader)]
    if (mod === undefined) throw new Error('no module')
    expect([module_name(mod), module_state(mod), module_refcount(mod)]).toEqual(['test_module', 'Live', 0])
    expect(module_taints(reader, mod)).toBe('OE')
    expect(module_string(mod, 'args')).toBe('pid=0x10 who="one two" flag')
    expect(module_string(mod, 'srcversion')).toMatch(/^[0-9A-F]{24}$/)
    expect(mod.$array('name').$string()).toBe('test_module')
    const regions = module_regions(mod)
    expect(regions).toMatchObject([{ name: 'core', textSize: 4096 }])
    expect(Math.abs(mod.$va % 64)).toBe(0)
    const layout = moduleLayout(k.types)
    const [read] = readModules(k.mem, layout, toVa(k.sym('modules')))
    const symbols = new Map(read?.symbols.map((symbol) => [symbol.name, symbol]))
    expect(symbols.get('test_function')).toMatchObject({ type: 'T', va: toVa(k.text(test_function)) })
    expect(symbols.get('cleanup_module')).toMatchObject({ type: 'T', va: toVa(k.text(test_exit)) })
    expect(symbols.get('__this_module')?.va).toBe(mod.$va)
    expect(symbols.has('test_init')).toBe(false)
    expect(validate_list(k.mem, toVa(k.sym('modules')))).toEqual({ count: 1, faults: [] })
    for (const i of [0, 1]) {
      const root = k.global('mod_tree', 'mod_tree_root').root.tree.$vaAt(i)
      expect(validate_rbtree(k.mem, root)).toEqual({ count: 1, faults: [] })
    }
  })

  test('the log names each taint once', () => {
    const k = layeredMachine()
    insmod(k, test_module)
    insmod(k, recvmsg_block, 'deny=10.0.0.1')
    expect(log(k).filter((line) => /taint/.test(line))).toEqual([
      'test_module: loading out-of-tree module taints kernel.',
      'test_module: module verification failed: signature and/or required key missing - tainting kernel',
    ])
  })

  test.each([
    ['twice', base, '', -17, /^$/],
    [
      'an unknown symbol',
      { ...base, imports: ['sys_call_table'] },
      '',
      -2,
      /test_module: Unknown symbol sys_call_table \(err -2\)/,
    ],
    [
      'a GPL-only symbol without the license',
      { ...base, license: 'Proprietary', imports: ['register_kprobe'] },
      '',
      -2,
      /Unknown symbol register_kprobe/,
    ],
    ['a parameter that is no number', base, 'pid=abc', -22, /test_module: `abc' invalid for parameter `pid'/],
    ['a parameter without value', base, 'pid', -22, /`' invalid for parameter `pid'/],
    ['an init that fails', base, 'rc=-1', -1, /^$/],
    [
      'another kernel',
      { ...base, vermagic: '5.10.0 SMP mod_unload ' },
      '',
      -8,
      /version magic '5.10.0 SMP mod_unload ' should be '6.1.0-56-amd64 SMP preempt mod_unload modversions '/,
    ],
  ])('%s is refused', (what, definition, args, rc, message) => {
    const k = layeredMachine()
    if (what === 'twice') insmod(k, definition)
    const before = names(k)
    expect(insmod(k, definition, args)).toBe(rc)
    expect(names(k)).toEqual(before)
    if (message.source !== '^$') expect(log(k).at(-1)).toMatch(message)
  })

  test('stacks can be walked through its functions', () => {
    const k = layeredMachine()
    insmod(k, test_module)
    const orc = OrcTables.open(readerOf(k))
    const at = toVa(k.text(test_function))
    expect(orc?.find(at)).toMatchObject({ sp_offset: 8, type: 'call' })
    expect(orc?.find(at + 20)).toMatchObject({ sp_offset: k.stackBytes(test_function.kfunc), type: 'call' })
    expect(orc?.find(at + 4000)?.sp_reg).toBe(0)
  })

  test('an unknown parameter is only mentioned', () => {
    const k = layeredMachine()
    expect(insmod(k, test_module, 'nonsense=1')).toBe(0)
    expect(log(k)).toContain("test_module: unknown parameter 'nonsense' ignored")
    expect(seen.at(-1)).toBe('7 nobody false')
  })

  test('kallsyms_lookup_name is private since 5.7', () => {
    expect(insmod(layeredMachine(), { ...base, imports: ['kallsyms_lookup_name'] })).toBe(-2)
  })
})

describe('in a dump', () => {
  test('the module’s functions have names, and its log lines are there', () => {
    const k = layeredMachine()
    insmod(k, test_module)
    const target = liveTarget(k)
    const at = toVa(k.text(test_function))
    expect(target.symbolize(at + 4)).toMatchObject({
      name: 'test_function',
      module: 'test_module',
      offset: 4,
    })
    expect([...for_each_module(target)].map(module_name)).toEqual(['test_module'])
    expect([...log_records(target)].map(({ text }) => text)).toEqual(log(k))
    expect(target.walk(at).phys).toBe(k.mem.phys(at))
    target.close()
  })
})

describe('rmmod', () => {
  test('exit runs, the module is gone and its memory unmapped', () => {
    const k = layeredMachine()
    insmod(k, test_module)
    const at = toVa(k.text(test_function))
    expect(rmmod(k, 'test_module')).toBe(0)
    expect(seen.at(-1)).toBe('exit')
    expect(names(k)).toEqual([])
    expect(() => k.mem.u8(at)).toThrow(FaultError)
    expect(k.textIfAny(test_function.kfunc)).toBeUndefined()
    const last = toVa(k.sym('last_unloaded_module'))
    expect([readString(k.mem, last), readString(k.mem, last + 56)]).toEqual(['test_module', '(OE)'])
    expect(rmmod(k, 'test_module')).toBe(-2)
    expect(insmod(k, test_module)).toBe(0)
    expect(toVa(k.text(test_function))).toBe(at)
  })

  test('a module another one uses stays', () => {
    const k = layeredMachine()
    insmod(k, test_module)
    expect(insmod(k, { name: 'user', license: 'GPL', imports: ['test_function'] })).toBe(0)
    const [user, owner] = [...for_each_module(readerOf(k))]
    expect([user, owner].map((m) => m && module_name(m))).toEqual(['user', 'test_module'])
    expect(owner && module_users(owner)).toEqual(['user'])
    expect(rmmod(k, 'test_module')).toBe(-11)
    expect(rmmod(k, 'user')).toBe(0)
    expect(rmmod(k, 'test_module')).toBe(0)
  })
})

describe('recvmsg_block', () => {
  /** A connected socket whose peer is 192.168.56.101:51000. */
  function connected(k: Kernel) {
    const sk = k.ref('inet_sock', kmalloc(k, k.types.sizeof('tcp_sock')))
    const common = sk.sk.__sk_common
    common.skc_family = 2
    k.mem.write(common.$vaOf('skc_daddr'), Uint8Array.of(192, 168, 56, 101))
    k.mem.write(common.$vaOf('skc_dport'), Uint8Array.of(0xc7, 0x38))
    k.mem.write(sk.$vaOf('inet_saddr'), Uint8Array.of(192, 168, 56, 1))
    const sock = k.ref('socket', kmalloc(k, 128))
    sock.sk = sk.sk
    return { sock, msg: k.ref('msghdr', kmalloc(k, 104)) }
  }

  test('denies the peer, lets others through, and is gone after rmmod', () => {
    const k = layeredMachine()
    const { sock, msg } = connected(k)
    expect(insmod(k, recvmsg_block, 'deny=192.168.56.101')).toBe(0)
    expect(security_socket_recvmsg(k, sock, msg, 100, 0)).toBe(-1)
    expect(log(k).at(-1)).toBe(
      'recvmsg_block: denied recvmsg from 192.168.56.101:51000 (saddr 192.168.56.1 is our own address)',
    )
    expect(rmmod(k, 'recvmsg_block')).toBe(0)
    expect(security_socket_recvmsg(k, sock, msg, 100, 0)).toBe(0)
    expect(insmod(k, recvmsg_block, 'deny=192.168.56.1 errno=EACCES')).toBe(0)
    expect(security_socket_recvmsg(k, sock, msg, 100, 0)).toBe(0)
  })

  test('takes its error from errno=, refuses what is no address', () => {
    const k = layeredMachine()
    const { sock, msg } = connected(k)
    expect(insmod(k, recvmsg_block, 'deny=192.168.56')).toBe(-22)
    expect(insmod(k, recvmsg_block, 'deny=192.168.56.101 errno=EACCES')).toBe(0)
    expect(security_socket_recvmsg(k, sock, msg, 100, 0)).toBe(-13)
    expect(get_kprobe(k, k.sym('kallsyms_lookup_name'))).toBeNull()
  })
})
