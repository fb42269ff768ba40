/** The inspector over a machine that is still running: its memory written to a dump as a recording would, and opened. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toVa } from '../../src/base/addr.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { openTargetSync, type Target } from '../../src/target/target.ts'
import { writeCdump } from '../../src/vmcore/cdump/write.ts'

/** @returns a target over the machine's memory as it is now */
export function liveTarget(k: Kernel): Target {
  const folder = mkdtempSync(join(tmpdir(), 'coredrill-live-'))
  const path = join(folder, 'live.cdump')
  const note = k.mem.read(k.mem.pointer(toVa(k.sym('vmcoreinfo_data'), k.mem.wordSize)), 4096)
  const { pages } = k.mem.takeDelta()
  writeCdump(path, {
    header: {
      profile: k.profile.name,
      release: k.profile.release,
      machine: k.profile.wordSize === 8 ? 'x86_64' : 'i386',
      wordSize: k.profile.wordSize,
      memorySize: k.mem.sizeBytes,
      createdBy: 'test',
      seed: '1',
      scenarioName: 'live',
      cpus: k.nr_cpu_ids,
    },
    vmcoreinfo: Buffer.from(note).toString('latin1').replace(/\0.*$/s, ''),
    snapshots: [{ name: 'now', step: 0, timeNs: BigInt(k.clock.nowNs), parent: null, pages }],
  })
  const target = openTargetSync(path)
  rmSync(folder, { recursive: true })
  return target
}
