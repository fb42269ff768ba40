/** Probes: their structures in kprobe_table, and the lines their events print. */

import { describe, expect, test } from 'vitest'
import { hash_ptr } from '../../../../src/abi/kprobes.ts'
import { toVa } from '../../../../src/base/addr.ts'
import { LookupError, UsageError } from '../../../../src/base/errors.ts'
import { readString } from '../../../../src/helpers/kernel.ts'
import type { sock } from '../../../../src/btf/vmlinux.ts'
import { functionSize } from '../../../../src/linux/arch/x86/kernel/text.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { kfunc } from '../../../../src/linux/kfunc.ts'
import { get_kprobe } from '../../../../src/linux/kernel/kprobes.ts'
import { addProbe, kprobeTool, parseProbe } from '../../../../src/linux/kernel/trace/trace_kprobe.ts'
import { kmalloc } from '../../../../src/linux/mm/slab.ts'
import { findProfile } from '../../../../src/linux/profile.ts'
import { validate_hlist } from '../../../../src/structures/hlist.ts'
import { layeredMachine } from '../../../support/layered-machine.ts'

// a chain with the shapes of the real one: an assembly entry, a plain caller, one that jumps to its last callee
const FILE = 'drivers/net/probe.c'
const nf_ct_probed = kfunc(FILE, function dev_addr_mod(_k, sk: sock | null, size: number): sock | null {
  return size > 0 ? sk : null
})
const jumps = kfunc(
  FILE,
  function dev_addr_init(k, sk: sock | null, size: number): sock | null {
    return nf_ct_probed(k, sk, size)
  },
  { sibling: true },
)
const calls = kfunc(FILE, function dev_addr_check(k, sk: sock | null, size: number): sock | null {
  return jumps(k, sk, size)
})
const inlined = kfunc(FILE, function no_such_symbol_here(k, sk: sock | null, size: number): sock | null {
  return calls(k, sk, size)
})
const entry = kfunc(FILE, function dev_addr_flush(k, sk: sock | null, size: number): sock | null {
  return inlined(k, sk, size)
})

const machine = (profile = 'debian-6.1-x86_64'): Kernel =>
  layeredMachine({ profile: findProfile(profile) as NonNullable<ReturnType<typeof findProfile>>, cpus: 4 })
const run = (k: Kernel, size = 3) => {
  const sk = k.ref('sock', kmalloc(k, k.types.sizeof('sock')))
  sk.sk_rcvbuf = 131072
  entry(k, sk, size)
  return sk
}
const hexSize = (k: Kernel, name: string): string => functionSize(k, toVa(k.sym(name))).toString(16)

describe('kprobe_table', () => {
  test('hash_ptr is the kernel’s', () => {
    expect(hash_ptr(0xffff_ffff_818a_bfb0n, 6)).toBe(15)
  })

  test('an armed probe lies in its bucket, named, and leaves it again', () => {
    const k = machine()
    const probe = addProbe(k, 'p:dev_addr_mod')
    const address = k.sym('dev_addr_mod')
    const head = toVa(k.sym('kprobe_table')) + hash_ptr(address, 6) * 8
    expect(k.mem.pointer(head)).toBe(probe.rp.kp.$va)
    expect(validate_hlist(k.mem, head)).toEqual([])
    const found = get_kprobe(k, address)
    expect(found && readString(k.mem, toVa(found.symbol_name))).toBe('dev_addr_mod')
    expect(found?.flags).toBe(8)
    probe.remove()
    expect(get_kprobe(k, address)).toBeNull()
    run(k)
    expect(probe.lines).toEqual([])
  })

  test('two probes of one function are both hit', () => {
    const k = machine()
    const [a, b] = [addProbe(k, 'p:dev_addr_mod'), addProbe(k, 'r:dev_addr_mod')]
    run(k)
    expect([a.hits, b.hits]).toEqual([1, 1])
    b.remove()
    run(k)
    expect([a.hits, b.hits]).toEqual([2, 1])
  })
})

describe('events', () => {
  test.each([
    {
      profile: 'debian-6.1-x86_64',
      what: 'ORC: all callers but the one that jumped',
      stack: ['dev_addr_mod', 'dev_addr_check', 'dev_addr_flush'],
    },
    {
      profile: 'ubuntu-5.15-x86_64',
      what: 'frame pointers: not the immediate caller, but the one ORC misses',
      stack: ['dev_addr_mod', 'dev_addr_check', 'dev_addr_flush'],
    },
  ])('entry and stack, $what', ({ profile, stack }) => {
    const k = machine(profile)
    k.clock.moveTo(189_346_050_282_000)
    const probe = addProbe(k, 'p:dev_addr_mod', { stack: true })
    run(k)
    const size = hexSize(k, 'dev_addr_mod')
    // behind them comes what the idle task runs in
    expect(probe.lines.slice(0, 2 + stack.length)).toEqual([
      `          <idle>-0       [000] ..... 189346.050282: dev_addr_mod: (dev_addr_mod+0x0/0x${size})`,
      '          <idle>-0       [000] ..... 189346.050304: <stack trace>',
      ...stack.map((name) => ` => ${name}`),
    ])
  })

  test('return: where it returns to, what it returns, and the trampoline in the stack', () => {
    const k = machine()
    const probe = addProbe(k, 'r:child dev_addr_mod child=$retval', { stack: true, stackCostNs: 10_000 })
    const sk = run(k)
    const [event = '', , first, second] = probe.lines
    expect(event.replace(/^.*?: /, '')).toMatch(
      new RegExp(
        `^child: \\(dev_addr_check\\+0x[0-9a-f]+/0x${hexSize(k, 'dev_addr_check')} <- dev_addr_mod\\) child=0x${sk.$addr.toString(16)}$`,
      ),
    )
    expect([first, second]).toEqual([" => [unknown/kretprobe'd]", ' => dev_addr_check'])
    run(k, 0)
    expect(probe.lines.filter((line) => line.includes(' child: ')).at(-1)).toMatch(/child=0x0$/)
  })

  test('a frame-pointer return probe misses the function returned to', () => {
    const k = machine('ubuntu-5.15-x86_64')
    const probe = addProbe(k, 'r:dev_addr_mod', { stack: true })
    run(k)
    expect(probe.lines.slice(2, 5)).toEqual([
      " => [unknown/kretprobe'd]",
      ' => dev_addr_check',
      ' => dev_addr_flush',
    ])
    expect(probe.lines[0]).toMatch(/\(dev_addr_init\+0x/)
  })

  test('what is fetched: registers, arguments, memory, strings', () => {
    const k = machine()
    const rcvbuf = k.types.offsetof('sock', 'sk_rcvbuf')
    const probe = addProbe(
      k,
      `p:dev_addr_mod sk=%di $arg2 size=%si:u32 buf=+${rcvbuf}(%di):s32 who=$comm name=+0(+8(@modules)):string none=+0($arg5):string`,
    )
    const sk = run(k)
    expect(probe.lines[0]).toMatch(
      new RegExp(
        ` sk=0x${sk.$addr.toString(16)} arg2=0x3 size=3 buf=131072 who="[^"]*" name=".*" none=\\(fault\\)$`,
      ),
    )
  })

  test('context: soft interrupt, bottom halves disabled, hardware interrupt', () => {
    const k = machine()
    const probe = addProbe(k, 'p:dev_addr_mod')
    k.onCpu(3, () => {
      k.cpu.softirq = 1
      run(k)
      k.cpu.softirq = 0
      k.cpu.hardirq = 1
      run(k)
      k.cpu.hardirq = 0
    })
    expect(probe.lines.map((line) => /\[003\] (\S+)/.exec(line)?.[1])).toEqual(['b..1.', 'd.h1.'])
  })

  test.each(['x:foo', 'p:', 'p:dev_addr_mod $retval', 'p:dev_addr_mod %zz', 'p:dev_addr_mod a=+x(%di)'])(
    '%s is refused',
    (text) => {
      expect(() => addProbe(machine(), text)).toThrow(UsageError)
    },
  )

  test('a function this kernel has not, or has inlined, cannot be probed', () => {
    const k = machine()
    expect(() => addProbe(k, 'p:no_such_symbol_here')).toThrow(LookupError)
    expect(get_kprobe(k, 0n)).toBeNull()
  })

  test('the tool names the event', () => {
    expect(kprobeTool.start(parseProbe('r:child inet_accept child=$retval', 8))).toBe(
      'Tracing kprobe child. Ctrl-C to end.',
    )
    expect(parseProbe('p:inet_accept sock=%di', 8)).toMatchObject({
      name: 'inet_accept',
      symbol: 'inet_accept',
    })
  })
})
