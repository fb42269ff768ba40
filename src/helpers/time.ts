/** The machine's clocks as memory has them: jiffies, uptime, wall time, load. */

import { FaultError } from '../base/errors.ts'
import { findSymbolVa, globalRef, symbolVa, type Kernel } from './kernel.ts'

/** Most distributions build with this; used when memory does not tell. */
const HZ_DEFAULT = 250
const NSEC_PER_SEC = 1_000_000_000n

/** CONFIG_HZ, from the length of a tick. @see kernel/time/ntp.c: `tick_nsec` */
export function hz(kernel: Kernel): number {
  const at = findSymbolVa(kernel, 'tick_nsec')
  if (at === undefined) return HZ_DEFAULT
  const tick = Number(kernel.mem.word(at))
  return tick > 0 && tick <= 1e8 ? Math.round(1e9 / tick) : HZ_DEFAULT
}

/**
 * Ticks since boot. `jiffies_64` starts five minutes before its low half wraps.
 * @see include/linux/jiffies.h:INITIAL_JIFFIES
 */
export function jiffies_since_boot(kernel: Kernel): bigint {
  const now = kernel.mem.u64(symbolVa(kernel, 'jiffies_64'))
  const start = BigInt.asUintN(32, BigInt(-300 * hz(kernel)))
  return now >= start ? now - start : now + BigInt(300 * hz(kernel))
}

/** Seconds since boot, whole ones. */
export const uptime = (kernel: Kernel): bigint => jiffies_since_boot(kernel) / BigInt(hz(kernel))

/**
 * Wall time in seconds since 1970, undefined when this kernel keeps it elsewhere.
 * @see include/linux/timekeeper_internal.h: `tk_core.timekeeper.xtime_sec`
 */
export function wall_time(kernel: Kernel): bigint | undefined {
  const at = findSymbolVa(kernel, 'tk_core')
  if (at === undefined || !kernel.types.has('timekeeper', 'xtime_sec')) return undefined
  // struct { seqcount_t seq; struct timekeeper timekeeper; } has no name: the timekeeper is aligned to a word
  const { types, mem } = kernel
  const seq = types.has('seqcount_raw_spinlock') ? types.sizeof('seqcount_raw_spinlock') : 4
  try {
    return mem.u64(
      at + Math.ceil(seq / mem.wordSize) * mem.wordSize + types.offsetof('timekeeper', 'xtime_sec'),
    )
  } catch (error) {
    if (error instanceof FaultError) return undefined
    throw error
  }
}

/** Load averages over 1, 5 and 15 minutes, as `1.10`. @see kernel/sched/loadavg.c: `avenrun`, FSHIFT 11 */
export function load_averages(kernel: Kernel): string[] {
  const at = symbolVa(kernel, 'avenrun')
  const FSHIFT = 11n
  return [0, 1, 2].map((i) => {
    const load = kernel.mem.word(at + i * kernel.mem.wordSize) + (1n << FSHIFT) / 200n
    const hundredths = ((load & ((1n << FSHIFT) - 1n)) * 100n) >> FSHIFT
    return `${load >> FSHIFT}.${hundredths.toString().padStart(2, '0')}`
  })
}

/** `h:mm:ss` with days before it: what crash makes of an uptime or run time in seconds. */
export function duration(seconds: bigint): string {
  const two = (n: bigint): string => n.toString().padStart(2, '0')
  const days = seconds / 86400n
  const rest = `${two((seconds / 3600n) % 24n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`
  return days > 0n ? `${days} days, ${rest}` : rest
}

/** Nanoseconds as `0 00:00:00.095`: days, hours, minutes, seconds, milliseconds. */
export function nanoseconds(ns: bigint): string {
  const ms = ns / 1_000_000n
  const two = (n: bigint): string => n.toString().padStart(2, '0')
  const seconds = ms / 1000n
  const clock = `${two((seconds / 3600n) % 24n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`
  return `${seconds / 86400n} ${clock}.${(ms % 1000n).toString().padStart(3, '0')}`
}

/** Since when a task runs, in seconds of uptime; crash subtracts whole seconds. */
export function run_time(kernel: Kernel, startNs: bigint): bigint {
  const start = (startNs / NSEC_PER_SEC) * BigInt(hz(kernel))
  const now = jiffies_since_boot(kernel)
  return start > now ? 0n : (now - start) / BigInt(hz(kernel))
}

/** `init_uts_ns.name`: what uname says. @see include/uapi/linux/utsname.h */
export interface Utsname {
  readonly sysname: string
  readonly nodename: string
  readonly release: string
  readonly version: string
  readonly machine: string
  readonly domainname: string
}

export function utsname(kernel: Kernel): Utsname {
  const ns = globalRef(kernel, 'init_uts_ns', 'uts_namespace')
  const field = (name: string): string => ns.$array(`name.${name}`).$string()
  return {
    sysname: field('sysname'),
    nodename: field('nodename'),
    release: field('release'),
    version: field('version'),
    machine: field('machine'),
    domainname: field('domainname'),
  }
}
