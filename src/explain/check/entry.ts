/** What a check looks at: a place in memory, what it holds and whose that is; and the verdict on it. */

/** One place looked at. `coredrill check --json` has an array of these. */
export interface CheckEntry {
  /** the check it belongs to: `syscalls`, `lsm`, … */
  readonly check: string
  /** what the place is called: `sys_call_table[57]` */
  readonly place: string
  /** address of the place */
  readonly at: bigint
  /** what it holds */
  readonly value: bigint
  /** the symbol that holds, `+0x…` where it is inside of it */
  readonly symbol: string | null
  /** `kernel`, the name of a module, or `nobody` */
  readonly owner: string
  /** the symbol that belongs there, where that is known */
  readonly expected: string | null
  /** its address; null where this kernel has none */
  readonly expectedAt: bigint | null
  /** does this kernel use what is there? */
  readonly effective: boolean
  /** is it a finding? */
  readonly found: boolean
  /** what is so, in words: `hooked by module edu` */
  readonly verdict: string
}

/** What a check yields; its name is put in by who runs it. Members left out have the values of a good entry. */
export type Seen = Pick<CheckEntry, 'place' | 'at' | 'value'> & Partial<Omit<CheckEntry, 'check'>>

/** The entry of a check, complete. */
export function entryOf(check: string, seen: Seen): CheckEntry {
  return {
    check,
    symbol: null,
    owner: 'kernel',
    expected: null,
    expectedAt: null,
    effective: true,
    found: false,
    verdict: 'ok',
    ...seen,
  }
}
