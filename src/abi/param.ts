/** `CONFIG_HZ` of all layouts. @see include/uapi/asm-generic/param.h */
export const HZ = 250
