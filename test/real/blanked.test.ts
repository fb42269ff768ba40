/** Real dumps as older kernels and other tools would have left them: parts of VMCOREINFO gone, or all of it. */

import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { find_task, for_each_task } from '../../src/helpers/pid.ts'
import { task_comm } from '../../src/helpers/task.ts'
import { targetOf, type Target } from '../../src/target/target.ts'
import { openContainer } from '../../src/vmcore/open.ts'
import { blanked, holdsVmcoreinfo, without } from '../support/blanked.ts'
import { dumpPath, hasReal } from './dumps.ts'

/** Tasks, modules and a name: through the direct map, vmalloc's area and the image. */
function answers(target: Target): unknown {
  const tasks = [...for_each_task(target)].map((task) => `${task.$addr.toString(16)} ${task_comm(task)}`)
  const init = find_task(target, 1)
  return {
    tasks,
    init: init && task_comm(init),
    modules: target.symbols.modules.map((m) => m.name),
    symbols: target.symbols.count,
    mode: target.space.mode,
    bases: [target.physBase, target.pageOffset, target.sym('_stext'), target.sym('init_top_pgt')],
  }
}

/** A kernel with five levels is not in the set everybody has. */
const five = process.env['COREDRILL_REAL_LA57'] ?? ''
const dumps = hasReal ? [dumpPath('dev'), dumpPath('panic'), ...(existsSync(five) ? [five] : [])] : ['']

describe.skipIf(!hasReal).each(dumps)('%s', (path) => {
  const whole = hasReal ? openContainer(path) : undefined
  const text = whole?.vmcoreinfo ?? ''
  const open = (blanks: Parameters<typeof blanked>[1]): Target =>
    targetOf(blanked(whole as NonNullable<typeof whole>, blanks))
  const expected = (): unknown => answers(targetOf(whole as NonNullable<typeof whole>))

  test('without SYMBOL(kallsyms_*)', () => {
    expect(answers(open({ vmcoreinfo: without(text, 'SYMBOL(kallsyms') }))).toEqual(expected())
  })

  test('without phys_base', () => {
    const target = open({ vmcoreinfo: without(text, 'NUMBER(phys_base)'), zero: holdsVmcoreinfo })
    expect(answers(target)).toEqual(expected())
  })

  test('without a note', () => {
    const target = open({})
    expect(answers(target)).toEqual(expected())
    expect(target.vmcoreinfo.release).toBe(targetOf(whole as NonNullable<typeof whole>).vmcoreinfo.release)
  })

  test('without VMCOREINFO anywhere', () => {
    const told: string[] = []
    const target = targetOf(blanked(whole as NonNullable<typeof whole>, { zero: holdsVmcoreinfo }), {
      progress: (line) => told.push(line),
    })
    expect(answers(target)).toEqual(expected())
    expect(target.vmcoreinfo.release).toBe(targetOf(whole as NonNullable<typeof whole>).vmcoreinfo.release)
    expect(told.at(-1)).toBe('')
    expect(told.some((line) => line.startsWith('looking for page tables'))).toBe(true)
  })
})
