/** Read-copy-update. @see kernel/rcu/tree.c */

import { kfunc } from '../../kfunc.ts'

/**
 * Wait until no reader can still see what was unlinked.
 * @see kernel/rcu/tree.c:synchronize_rcu
 * @remarks readers run to their end before anything else does, so a grace period is over at once.
 */
export const synchronize_rcu = kfunc('kernel/rcu/tree.c', function synchronize_rcu(): void {
  // nothing to wait for
})
