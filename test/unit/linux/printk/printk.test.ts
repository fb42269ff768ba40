/** The simulated log, read back through the inspector's reader. */

import { describe, expect, test } from 'vitest'
import { KERN_INFO, KERN_WARNING } from '../../../../src/abi/printk.ts'
import { toVa } from '../../../../src/base/addr.ts'
import { log_records, type LogRecord } from '../../../../src/helpers/printk.ts'
import { _printk, init_printk_statics, pr_info, printk } from '../../../../src/linux/kernel/printk/printk.ts'
import type { Kernel } from '../../../../src/linux/kernel.ts'
import { bootedMachine } from '../../../support/machine.ts'
import { readerOf } from '../../../support/reader.ts'

/** A machine whose log is as the compiler leaves it. */
function emptyLog(): Kernel {
  const k = bootedMachine()
  const zero = (name: string, size: number): void => k.mem.fill(toVa(k.sym(name)), 0, size)
  zero('_printk_rb_static_descs', 4096 * 24)
  zero('_printk_rb_static_infos', 4096 * 88)
  zero('__log_buf', 1 << 17)
  init_printk_statics(k)
  return k
}
const records = (k: Kernel): LogRecord[] => [...log_records(readerOf(k))]

describe('the printk ring', () => {
  test('begins empty, one turn before zero', () => {
    const k = emptyLog()
    expect(records(k)).toEqual([])
    const rb = k.global('printk_rb_static', 'printk_ringbuffer')
    expect(BigInt.asUintN(64, rb.desc_ring.$int('head_id.counter'))).toBe(0xffff_efffn)
    expect(BigInt.asUintN(64, rb.text_data_ring.$int('head_lpos.counter'))).toBe(0xffff_ffff_fffe_0000n)
  })

  test('a message keeps its level, time, caller and text without newline', () => {
    const k = emptyLog()
    k.clock.spend(1_234_567)
    printk(k, KERN_WARNING, 'one\n')
    k.onCpu(1, () => {
      k.cpu.hardirq++
      pr_info(k, 'two')
      k.cpu.hardirq--
    })
    expect(records(k)).toMatchObject([
      { seq: 0n, level: 4, text: 'one', ts_nsec: BigInt(k.clock.nowNs), caller: { kind: 'task', id: 0 } },
      { seq: 1n, level: 6, text: 'two', caller: { kind: 'cpu', id: 1 } },
    ])
  })

  test('the first descriptor and block are what a real kernel has', () => {
    const k = emptyLog()
    printk(k, KERN_INFO, 'BIOS-provided physical RAM map:')
    const desc = k.ref('prb_desc', toVa(k.sym('_printk_rb_static_descs')))
    expect(BigInt.asUintN(64, desc.$int('state_var.counter'))).toBe(0x8000_0000_ffff_f000n)
    expect(desc.text_blk_lpos.begin).toBe(0xffff_ffff_fffe_0000n)
    expect(desc.text_blk_lpos.next - desc.text_blk_lpos.begin).toBe(48n)
    const block = Buffer.from(k.mem.read(toVa(k.sym('__log_buf')), 44)).toString('latin1')
    // the level prefix the text was moved over leaves its last bytes behind
    expect(block).toBe('\0\xf0\xff\xff\0\0\0\0BIOS-provided physical RAM map:p:\n\0\0')
  })

  test('text without newline stays open until the next message', () => {
    const k = emptyLog()
    _printk(k, 1, 'done/n')
    const state = (): bigint =>
      BigInt.asUintN(
        64,
        k.ref('prb_desc', toVa(k.sym('_printk_rb_static_descs'))).$int('state_var.counter'),
      ) >> 62n
    expect(state()).toBe(1n)
    pr_info(k, 'next')
    expect(state()).toBe(2n)
    expect(records(k).map(({ text }) => text)).toEqual(['done/n', 'next'])
  })

  test.each([
    { what: 'text', count: 3000, line: 'x'.repeat(90) },
    { what: 'descriptors', count: 9000, line: 'y' },
  ])('more than the ring holds of $what: the oldest go', ({ count, line }) => {
    const k = emptyLog()
    k.mem.journal.enabled = false
    for (let i = 0; i < count; i++) pr_info(k, `${i} ${line}`)
    const left = records(k)
    expect(left.at(-1)).toMatchObject({ seq: BigInt(count - 1), text: `${count - 1} ${line}` })
    expect(left.length).toBeGreaterThan(1000)
    const first = Number(left[0]?.seq)
    left.forEach((record, i) => {
      expect(record.seq).toBe(BigInt(first + i))
      expect(record.text).toBe(`${first + i} ${line}`)
    })
  })

  test('a long message is cut at the record limit', () => {
    const k = emptyLog()
    pr_info(k, 'z'.repeat(2000))
    expect(records(k)[0]?.text).toBe('z'.repeat(1022))
  })

  test('a device message names subsystem and device', () => {
    const k = emptyLog()
    printk(k, KERN_INFO, 'e1000 0000:00:03.0 enp0s3: link up', {
      dev: { subsystem: 'pci', device: '+pci:0000:00:03.0' },
    })
    expect(records(k)[0]).toMatchObject({ subsystem: 'pci', device: '+pci:0000:00:03.0' })
  })
})
