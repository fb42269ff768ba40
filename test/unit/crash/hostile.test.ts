/**
 * Commands on a simulated dump whose structures were damaged: pointers from elsewhere make cycles, counts are
 * wrong, lists do not end. COREDRILL_FUZZ=N gives N cases.
 */

import { expect, test } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { targetOf } from '../../../src/target/target.ts'
import type { Container } from '../../../src/vmcore/container.ts'
import { fuzzCases, mutate } from '../../support/mutate.ts'
import { crash, recordedTarget } from '../../support/recorded.ts'

const COMMANDS = ['ps', 'foreach files', 'foreach net -s', 'mod', 'log', 'mount', 'net', 'bt -a']

test('a damaged dump: every command ends, and none calls it an error of ours', async () => {
  const good = recordedTarget('handshake')
  // The pages commands read: those the simulator wrote after its image.
  const pages: number[] = []
  const memory = good.phys
  for (const { startPfn, endPfn } of good.container.ranges)
    for (let pfn = startPfn; pfn < endPfn; pfn++) {
      const page = memory.page(pfn)
      if (typeof page !== 'string' && page.some((byte) => byte !== 0)) pages.push(pfn)
    }
  for (let i = 0; i < fuzzCases(16); i++) {
    const random = new Random(`dump ${i}`)
    const changed = new Map<number, Uint8Array>()
    for (let n = 0; n < 24; n++) {
      const pfn = pages[random.below(pages.length)] as number
      const bytes = Uint8Array.from(changed.get(pfn) ?? (memory.page(pfn) as Uint8Array))
      mutate(bytes, random)
      changed.set(pfn, bytes)
    }
    const container: Container = {
      format: 'elf',
      path: 'hostile',
      memory: { pageSize: 4096, page: (pfn) => changed.get(pfn) ?? memory.page(pfn) },
      ranges: good.container.ranges,
      notes: good.container.notes,
      vmcoreinfo: good.container.vmcoreinfo,
      wordSize: good.container.wordSize,
      history: undefined,
      warnings: [],
      stats: { pagesRead: 0, bytesRead: 0 },
      close: () => undefined,
    }
    const target = targetOf(container)
    for (const command of COMMANDS) {
      const before = performance.now()
      const text = await crash(target, command)
      expect(text, `dump ${i}: ${command}`).not.toContain('internal error')
      expect(performance.now() - before, `dump ${i}: ${command}: milliseconds`).toBeLessThan(10_000)
    }
  }
}, 3_600_000)
