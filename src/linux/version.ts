/** Which kernel this is, for what changed from one to the next and is not to be seen in its structures. */

import type { Kernel } from './kernel.ts'

/** Is the running kernel of that version or later? `since(k, 5, 7)`: from 5.7 on. */
export function since(k: Kernel, major: number, minor: number, patch = 0): boolean {
  const own = k.profile.release.split(/[.-]/).map(Number)
  for (const [i, wanted] of [major, minor, patch].entries()) {
    const digits = own[i] ?? 0
    if (digits !== wanted) return digits > wanted
  }
  return true
}
