/** Jiffies and their wheel. @see include/linux/jiffies.h, include/linux/timer.h */

/** Ticks a second in all profiles. */
export const HZ = 250
export const NSEC_PER_JIFFY = 1_000_000_000 / HZ
/** Jiffies begin five minutes before their low 32 bits wrap. @see include/linux/jiffies.h:INITIAL_JIFFIES */
export const INITIAL_JIFFIES = 0x1_0000_0000n - 300n * BigInt(HZ)
/** "For ever", in jiffies. @see include/linux/sched.h */
export const MAX_SCHEDULE_TIMEOUT = (wordSize: 4 | 8): bigint =>
  wordSize === 8 ? 0x7fff_ffff_ffff_ffffn : 0x7fff_ffffn
/** Is a timeout "for ever", of either word size? */
export const isForever = (timeout: bigint): boolean => timeout >= MAX_SCHEDULE_TIMEOUT(4)

/** `timer_list.flags` */
export const TIMER_CPUMASK = 0x3ffff
export const TIMER_DEFERRABLE = 0x8_0000
export const TIMER_PINNED = 0x10_0000
export const TIMER_IRQSAFE = 0x20_0000
export const TIMER_ARRAYSHIFT = 22

/** @see include/linux/jiffies.h:msecs_to_jiffies */
export const msecs_to_jiffies = (ms: number): bigint => BigInt(Math.ceil((ms * HZ) / 1000))
/** @see include/linux/jiffies.h:jiffies_to_msecs */
export const jiffies_to_msecs = (j: bigint): number => (Number(j) * 1000) / HZ

/** Is `a` later than `b`, whatever wrapped between? @see include/linux/jiffies.h:time_after */
export const time_after = (a: bigint, b: bigint, wordSize: 4 | 8): boolean =>
  BigInt.asIntN(wordSize * 8, b - a) < 0n
export const time_before = (a: bigint, b: bigint, wordSize: 4 | 8): boolean => time_after(b, a, wordSize)
export const time_after_eq = (a: bigint, b: bigint, wordSize: 4 | 8): boolean => !time_after(b, a, wordSize)
