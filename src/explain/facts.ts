/** What an explanation consists of: facts with the addresses they were read from. Text and JSON show the same. */

/** One step of the way: where it was read, by which C rule, and what it leads to. */
export interface Step {
  /** The struct stood on, e.g. `struct file`. */
  readonly struct: string
  readonly address: bigint
  /** The member read, or the rule applied: `private_data`, `SOCKET_I(inode)`. */
  readonly member: string
  /** Address of the member. */
  readonly at: bigint
  /** What the member held. */
  readonly value: bigint
  /** The C rule or the meaning, in one sentence. */
  readonly rule: string
}

export type Side = 'local' | 'foreign' | 'none'

/** One address or port member. */
export interface Field {
  /** Member path from the struct named. */
  readonly member: string
  /** Other names the kernel's source calls it by. */
  readonly alias: string
  readonly at: bigint
  /** As they lie in memory. */
  readonly bytes: string
  readonly order: 'network' | 'host'
  /** Dotted address, or port number. */
  readonly value: string
  readonly side: Side
}

export type SockKindName =
  'connection' | 'listener' | 'request' | 'timewait' | 'udp' | 'raw' | 'unix' | 'netlink' | 'packet' | 'other'

/** How an end was recognised as this machine's. */
export interface Evidence {
  readonly fact: string
  /** Where it can be read again; 0 when it is an absence. */
  readonly at: bigint
}

/** A stage in the life of the sock, and what in memory shows it. */
export interface Stage {
  readonly title: string
  readonly text: string
}

/** An entry of an LSM hook's list. */
export interface HookEntry {
  readonly function: string
  readonly module: string
  readonly lsm: string
  readonly at: bigint
}

/** A hook said no. */
export interface Refusal {
  readonly hook: string
  readonly function: string
  readonly module: string
  readonly result: number
  readonly errno: string
  readonly pid: number
  /** address of the object the hook was asked about, its first argument; absent when that was none */
  readonly subject?: string
  readonly timeNs: string
  readonly step: number
}

/** Requests and connections that wait at a listener. */
export interface Waiting {
  readonly kind: 'half-open' | 'ready'
  /** `struct request_sock *` */
  readonly req: bigint
  /** `struct sock *` of the child; 0 while half-open */
  readonly child: bigint
  readonly remote: string
}

export interface Explanation {
  readonly kind: SockKindName
  readonly headline: string
  readonly task: { readonly pid: number; readonly comm: string; readonly address: bigint } | undefined
  readonly fd: number | undefined
  readonly sk: bigint
  readonly state: string
  readonly steps: readonly Step[]
  readonly fields: readonly Field[]
  readonly evidence: readonly Evidence[]
  /** What a hook on this path should compare, and why. */
  readonly advice: readonly string[]
  readonly birth: readonly Stage[]
  readonly waiting: readonly Waiting[]
  readonly queue: { readonly bytes: number; readonly buffers: number; readonly at: bigint } | undefined
  readonly hooks: readonly HookEntry[]
  readonly refusals: readonly Refusal[]
  /** What could not be read. */
  readonly damage: readonly string[]
}
