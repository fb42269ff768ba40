/** What the measurements share. Other work on the machine makes single figures useless: each is repeated. */

/** @param {number[]} values */
export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** Milliseconds that `work` takes, once. */
export function timed(work) {
  const start = performance.now()
  work()
  return performance.now() - start
}
