/** A booted machine for tests: small, seeded, silent. */

import { createKernel, DEFAULT_BOOT, type BootOptions } from '../../src/linux/boot.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { findProfile } from '../../src/linux/profile.ts'

/** A machine of profile debian-6.1-x86_64, booted; options override the defaults. */
export function bootedMachine(options: Partial<BootOptions> = {}): Kernel {
  const profile = findProfile('debian-6.1-x86_64')
  if (profile === undefined) throw new Error('no default profile')
  return createKernel({ profile, ...DEFAULT_BOOT, ...options })
}
