/** `check`: every hook the scenarios install is found and named, nothing is found without one, and damage is told. */

import { describe, expect, test } from 'vitest'
import { toAddr, toVa } from '../../../src/base/addr.ts'
import { checkReport } from '../../../src/crash/check-text.ts'
import type { CheckEntry } from '../../../src/explain/check/entry.ts'
import { checkNames, runChecks } from '../../../src/explain/check/run.ts'
import { kfunc } from '../../../src/linux/kfunc.ts'
import type { Kernel } from '../../../src/linux/kernel.ts'
import { defineModule } from '../../../src/linux/kernel/module/api.ts'
import { load_module } from '../../../src/linux/kernel/module/main.ts'
import { list_del } from '../../../src/structures/list.ts'
import type { Target } from '../../../src/target/target.ts'
import { layeredMachine } from '../../support/layered-machine.ts'
import { liveTarget } from '../../support/live-target.ts'
import { crash, recordedTarget } from '../../support/recorded.ts'

const findings = (target: Target): readonly CheckEntry[] => {
  const { entries, problems } = runChecks(target)
  expect(problems).toEqual([])
  return entries.filter(({ found }) => found)
}
const short = ({ place, symbol, owner, expected, effective }: CheckEntry): string =>
  `${place} ${symbol ?? ''} [${owner}] ${expected ?? '-'}${effective ? '' : ' inert'}`

describe('the scenarios', () => {
  test.each([
    ['lsm-recvmsg', 'closed', ['security_hook_heads.socket_recvmsg[2] (recvmsg_block) recvmsg_block_socket_recvmsg [recvmsg_block] -']],
    ['table-hook-inert', 'loaded', ['sys_call_table[57] (fork) edu_fork [edu] __x64_sys_fork inert']],
    ['fwnet-deny', 'loaded', ['sys_call_table[102] (socketcall) new_sys_socketcall [fwnet] sys_socketcall']],
    ['adds', 'loaded', ['sys_call_table[223] (ni_syscall) new_sys_call [adds] sys_ni_syscall']],
    ['fork-intercept', 'loaded', ['sys_call_table[2] (fork) edu_fork [edu] sys_fork']],
    ['open-log', 'loaded', ['sys_call_table[2] (open) logged_open [open_logger] __x64_sys_open']],
    ['compat-socketcall', 'inside', ['ia32_sys_call_table[102] (socketcall) new_sys_socketcall [fwnet] __ia32_compat_sys_socketcall']],
    ['nf-initiated', 'loaded', ['ipv4 LOCAL_OUT[0] priority -2147483648 my_nf_hookfn [filter] -']],
    ['softice-deny', 'loaded', ['sys_call_table[5] (open) softice_open [softice] sys_open']],
    ['shackles', 'loaded', ['sys_call_table[37] (kill) shackled_kill [shackles] sys_kill']],
    ['adds-slot-taken', 'taken', ['sys_call_table[223] (ni_syscall) new_sys_call [adds] sys_ni_syscall']],
    ['fwnet-accept-leak', 'waiting', ['sys_call_table[102] (socketcall) new_sys_socketcall [fwnet] sys_socketcall']],
    ['nf-drop-output', 'retransmitting', ['ipv4 LOCAL_OUT[0] priority 0 nf_verdict_hook [nf_verdict] -']],
    ['nf-filter-address', 'opened', ['ipv4 LOCAL_OUT[0] priority -2147483648 my_nf_hookfn [filter] -', 'pid 640 fd 0 f_op my_fops [filter] -']],
  ])('%s at %s: its hook, with module and function', (name, at, expected) => {
    expect(findings(recordedTarget(name, at)).map(short)).toEqual(expected)
  }) // prettier-ignore

  test.each([
    ['lsm-recvmsg', 'booted'],
    ['table-hook-inert', 'before'],
    ['table-hook-inert', 'after'],
    ['fwnet-deny', 'unloaded'],
    ['adds', 'after'],
    ['nf-initiated', 'done'],
  ])('%s at %s: nothing', (name, at) => {
    expect(findings(recordedTarget(name, at)).map(short)).toEqual([])
  })

  test('a hook under another is unloaded: the pointer kept by the other dangles, later the entry itself', () => {
    const [kept] = findings(recordedTarget('stacked-hooks-oops', 'bypassed'))
    expect(kept).toMatchObject({ check: 'modules', place: 'original_open [softice]', owner: 'nobody' })
    expect(kept?.verdict).toContain('unloaded last: open_logger')
    const [old] = findings(recordedTarget('stacked-hooks-bypass', 'bypassed'))
    expect(old?.place).toBe('original_open [softice]')
    for (const at of ['dangling', 'crashed']) {
      const found = findings(recordedTarget('stacked-hooks-oops', at))
      expect(found.map(short)).toEqual(['sys_call_table[2] (open)  [nobody] __x64_sys_open'])
      expect(found[0]?.value).toBe(kept?.value)
      expect(found[0]?.verdict).toMatch(/belongs to nobody.*not mapped; module unloaded last: softice/)
    }
  })

  test('the line of a finding has both addresses and says inert; the status is 3, 0 without findings', () => {
    const target = recordedTarget('table-hook-inert', 'loaded')
    const { text, status, failed } = checkReport(target, {})
    const [line] = (text as string).split('\n')
    const entry = target.symVa('sys_call_table') + 57 * 8
    expect(line).toContain(toAddr(entry).toString(16))
    expect(line).toContain(target.mem.word(entry).toString(16))
    expect(line).toContain(`expected ${target.sym('__x64_sys_fork').toString(16)} __x64_sys_fork`)
    expect(line).toMatch(/hooked by module edu; inert/)
    expect([status, failed]).toEqual([3, false])
    expect(checkReport(recordedTarget('table-hook-inert', 'before'), {}).status).toBeUndefined()
  })

  test('--only and --all: the entries of these checks, good ones as well', async () => {
    const target = recordedTarget('table-hook-inert', 'before')
    const rows = checkReport(target, { only: 'syscalls', all: true }).rows as CheckEntry[]
    expect(rows).toHaveLength(451)
    expect(new Set(rows.map(({ check }) => check))).toEqual(new Set(['syscalls']))
    expect(await crash(target, 'check --only nonsense')).toContain(checkNames.join(', '))
  })

  test('sys -c --owners: whose each call is', async () => {
    const text = await crash(recordedTarget('table-hook-inert', 'loaded'), 'sys -c --owners 57')
    expect(text).toMatch(
      /sys_call_table\[57\] \(fork\) +edu +edu_fork +__x64_sys_fork +hooked by module edu; inert/,
    )
  })
})

/** Run to the end something that does not sleep. */
function now(work: unknown): unknown {
  return (work as Generator<unknown, unknown>).next().value
}

const probe = defineModule({
  name: 'check_probe',
  license: 'GPL',
  variables: [{ name: 'kept', size: 8 }],
  functions: [kfunc('check_probe.c', function probe_function() {}, { module: 'check_probe' })],
  init: kfunc('check_probe.c', function check_probe_init() { return 0 }, { module: 'check_probe' }),
  exit: kfunc('check_probe.c', function check_probe_exit() {}, { module: 'check_probe' }),
}) // prettier-ignore

const verdicts = (k: Kernel): string[] =>
  findings(liveTarget(k)).map(({ check, verdict }) => `${check}: ${verdict}`)

describe('a machine that was tampered with', () => {
  test('an untouched one: nothing', () => {
    expect(verdicts(layeredMachine())).toEqual([])
  })

  test('an entry of the table exchanged with another, and one that leads into nothing', () => {
    const k = layeredMachine()
    const table = toVa(k.sym('sys_call_table'))
    k.mem.setWord(table, k.sym('__x64_sys_write'))
    k.mem.setWord(table + 8, 0xffffffffc0abc000n)
    const found = findings(liveTarget(k))
    expect(found.map(({ place }) => place)).toEqual(['sys_call_table[0] (read)', 'sys_call_table[1] (write)'])
    expect(found[0]?.verdict).toMatch(/^the call of number 1/)
    expect(found[1]).toMatchObject({ owner: 'nobody', value: 0xffffffffc0abc000n })
    expect(found[1]?.verdict).toMatch(/belongs to nobody.*not mapped/)
  })

  test('a module taken out of the list: found in the other two', () => {
    const k = layeredMachine()
    now(load_module(k, probe, ''))
    const head = toVa(k.sym('modules'))
    list_del(k.mem, k.mem.pointer(head))
    expect(verdicts(k)).toContain(
      'modules: module check_probe is in module_kset and mod_tree, not in modules',
    )
  })

  test('a list whose back pointer lies', () => {
    const k = layeredMachine()
    const head = toVa(k.sym('super_blocks'))
    k.mem.setWord(k.mem.pointer(head) + 8, toAddr(head + 0x100))
    expect(verdicts(k)).toEqual(['lists: does not point back at the link that leads here'])
  })

  test('a protocol that receives elsewhere', () => {
    const k = layeredMachine()
    const recvmsg = k.types.offsetof('proto', 'recvmsg')
    k.mem.setWord(toVa(k.sym('tcp_prot')) + recvmsg, 0xffffffffc0000123n)
    const [found] = findings(liveTarget(k))
    expect(found).toMatchObject({ check: 'ops', place: 'tcp_prot.recvmsg', owner: 'nobody' })
  })
})
