/** A warning with its place in the source and in the stack. @see kernel/panic.c:__warn */

import { toVa } from '../../base/addr.ts'
import { TAINT_WARN } from '../../abi/module.ts'
import { functionSize, returnOffset } from '../arch/x86/kernel/text.ts'
import { perKernel, type Kernel } from '../kernel.ts'
import { add_taint } from './panic.ts'
import { pr_warn } from './printk/printk.ts'

const seen = perKernel(() => new Set<string>())

/**
 * WARN_ONCE: said the first time only, and the kernel is tainted W.
 *
 * @param file, line of the statement, as the kernel's binary has them
 * @see include/asm-generic/bug.h:WARN_ONCE
 * @remarks the registers are not printed.
 */
export function warn_once(k: Kernel, file: string, line: number, text: string): void {
  const key = `${file}:${line}`
  if (seen(k).has(key)) return
  seen(k).add(key)
  const frames = [...k.thread.frames].reverse()
  pr_warn(k, '------------[ cut here ]------------')
  pr_warn(k, text)
  const [here] = frames
  const place = here === undefined ? '' : ` ${at(k, here.name, 'WARN_ONCE')}`
  pr_warn(k, `WARNING: CPU: ${k.cpu.id} PID: ${k.current.pid} at ${key}${place}`)
  pr_warn(k, 'Call Trace:')
  pr_warn(k, ' <TASK>')
  for (const [i, { name }] of frames.entries()) {
    const callee = frames[i - 1]
    if (callee !== undefined && k.textIfAny(frames[i] as (typeof frames)[number]) !== undefined)
      pr_warn(k, ` ${at(k, name, callee.name)}`)
  }
  pr_warn(k, ' </TASK>')
  pr_warn(k, '---[ end trace 0000000000000000 ]---')
  add_taint(k, TAINT_WARN)
}

/** `function+0x3f/0x60` */
function at(k: Kernel, name: string, callee: string): string {
  const info = k.thread.frames.find((frame) => frame.name === name)
  const start = info === undefined ? undefined : k.textIfAny(info)
  if (info === undefined || start === undefined) return name
  const size = functionSize(k, toVa(start, k.mem.wordSize))
  return `${name}+0x${returnOffset(k, info, callee, size).toString(16)}/0x${size.toString(16)}`
}
