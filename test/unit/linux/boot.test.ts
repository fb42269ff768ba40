import { afterAll, describe, expect, test } from 'vitest'
import { log_records } from '../../../src/helpers/printk.ts'
import { bannerOf } from '../../../src/linux/arch/x86/kernel/image.ts'
import { findProfile } from '../../../src/linux/profile.ts'
import { bootedMachine } from '../../support/machine.ts'
import { liveTarget } from '../../support/live-target.ts'

describe('a booted machine, opened as a dump', () => {
  const k = bootedMachine()
  const target = liveTarget(k)
  afterAll(() => {
    target.close()
  })

  test('the banner in memory is the first line of the log', () => {
    const [first] = log_records(target)
    expect(first?.text).toBe(bannerOf(k.profile))
    const banner = target.read(target.sym('linux_banner'), bannerOf(k.profile).length)
    expect(Buffer.from(banner).toString('latin1')).toBe(bannerOf(k.profile))
  })

  test('kallsyms found by VMCOREINFO has every symbol of the image at its address', () => {
    expect(target.symbols.kernel()).toBeDefined()
    for (const name of ['init_task', 'tcp_v4_rcv', 'security_hook_heads', '__start_BTF', 'runqueues']) {
      expect(target.sym(name)).toBe(k.sym(name))
    }
  })

  test('types come from the BTF in memory and agree with those the machine was laid out by', () => {
    for (const name of ['task_struct', 'tcp_sock', 'module', 'sk_buff']) {
      expect(target.types.sizeof(name)).toBe(k.types.sizeof(name))
    }
  })

  test.each([
    ['direct map', 'page_offset_base'],
    ['kernel text', '_stext'],
    ['vmemmap', 'vmemmap_base'],
  ])('the page tables in memory translate the %s', (_what, symbol) => {
    const at = symbol === '_stext' ? target.symVa(symbol) : target.mem.pointer(target.symVa(symbol))
    const walk = target.walk(at)
    expect(walk.phys).toBe(k.mem.phys(at))
    expect(walk.entries.length).toBeGreaterThanOrEqual(3)
  })

  test('equal seeds give equal memory, another seed another', () => {
    const pages = (seed: number): string =>
      [...bootedMachine({ seed }).mem.takeDelta().pages]
        .map(([pfn, b]) => `${pfn} ${Buffer.from(b).toString('base64')}`)
        .join()
    const [one, again, other] = [pages(7), pages(7), pages(8)]
    expect(again === one).toBe(true)
    expect(other === one).toBe(false)
  })

  test('profile ubuntu-5.15-x86_64: functions have the sizes its traces show', () => {
    const profile = findProfile('ubuntu-5.15-x86_64')
    if (profile === undefined) throw new Error('no such profile')
    const opened = liveTarget(bootedMachine({ profile }))
    for (const [name, size] of Object.entries(profile.functionSizes)) {
      expect([name, opened.symbols.find(name)?.size]).toEqual([name, size])
    }
  })
})
