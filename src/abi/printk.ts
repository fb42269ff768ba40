/** Levels, flags and ring sizes of the kernel log. @see include/linux/kern_levels.h, kernel/printk/printk_ringbuffer.h */

export const KERN_EMERG = 0
export const KERN_ALERT = 1
export const KERN_CRIT = 2
export const KERN_ERR = 3
export const KERN_WARNING = 4
/** Of messages without a level: `default_message_loglevel`. */
export const KERN_DEFAULT = 4
export const KERN_NOTICE = 5
export const KERN_INFO = 6
export const KERN_DEBUG = 7

/** `printk_info.flags`: the text ended in a newline. @see kernel/printk/internal.h:enum printk_info_flags */
export const LOG_NEWLINE = 2
export const LOG_CONT = 8

/** `printk_info.caller_id` of a message that was printed outside a task: the rest is the CPU. */
export const CALLER_IS_CPU = 0x8000_0000

/** CONFIG_LOG_BUF_SHIFT */
export const LOG_BUF_SHIFT = 17
/** Text bytes expected of one message, as a power of two. @see kernel/printk/printk.c:PRB_AVGBITS */
export const PRB_AVGBITS = 5
/** Most bytes of text in one record. @see kernel/printk/internal.h:PRINTKRB_RECORD_MAX */
export const PRINTKRB_RECORD_MAX = 1024

/** States of a descriptor, in the two highest bits of `prb_desc.state_var`. */
export const desc_reserved = 0n
export const desc_committed = 1n
export const desc_finalized = 2n
export const desc_reusable = 3n

/** `text_blk_lpos` of a record whose text did not fit, or that has none. */
export const FAILED_LPOS = 1n
export const NO_LPOS = 3n
