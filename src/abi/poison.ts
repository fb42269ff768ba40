/** Values that mark dead pointers. @see include/linux/poison.h, CONFIG_ILLEGAL_POINTER_VALUE */

export const LIST_POISON1 = 0xdead_0000_0000_0100n
export const LIST_POISON2 = 0xdead_0000_0000_0122n
/** On 32-bit kernels. */
export const LIST_POISON1_32 = 0x100n
export const LIST_POISON2_32 = 0x122n
export const TIMER_ENTRY_STATIC = 0xdead_0000_0000_0300n
