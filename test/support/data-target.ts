/** A flat kernel with a symbol table, for commands that show data: what `struct`, `p`, `list` and `rd` use of a target. */

import type { Va } from '../../src/base/addr.ts'
import { Context } from '../../src/crash/context.ts'
import type { DumpCommand, Invocation, Report } from '../../src/crash/dump-command.ts'
import { failureOf } from '../../src/crash/failure.ts'
import { globalType } from '../../src/target/globals.ts'
import type { Target } from '../../src/target/target.ts'
import { SystemMap } from '../../src/symbols/system-map.ts'
import { SymbolTable } from '../../src/symbols/table.ts'
import { FlatKernel } from './flat-kernel.ts'

const DIRECT_MAP = -0x7780_0000_0000

export class DataTarget extends FlatKernel {
  readonly wordSize = 8
  readonly pageOffset = DIRECT_MAP
  readonly vmcoreinfo = { symbol: () => undefined }
  readonly session = new Context()
  readonly #lines: { va: Va; letter: string; name: string }[] = []
  #symbols: SymbolTable | undefined

  /** Name a place; names must all be given before the first is asked for. */
  global(name: string, va: Va, letter = 'D'): void {
    this.#lines.push({ va, letter, name })
    this.symbol(name, va)
  }

  get symbols(): SymbolTable {
    const hex = (va: Va): string => BigInt.asUintN(64, BigInt(va)).toString(16).padStart(16, '0')
    const text = this.#lines.map(({ va, letter, name }) => `${hex(va)} ${letter} ${name}\n`).join('')
    this.#symbols ??= new SymbolTable(new SystemMap('test', text, 8), 8)
    return this.#symbols
  }

  typeOf(name: string) {
    return globalType(this.types, name, this.symbols.find(name)?.size)
  }

  virtToPhys(): undefined {
    return undefined
  }

  get target(): Target {
    return this as unknown as Target
  }

  /** What the prompt prints for a command. */
  async run(Class: typeof DumpCommand, name: string, ...words: string[]): Promise<string> {
    const { text } = await this.report(Class, name, ...words)
    return text
  }

  async report(
    Class: typeof DumpCommand,
    name: string,
    ...words: string[]
  ): Promise<{ text: string; rows: Report['rows']; failed: boolean }> {
    let text = ''
    const around: Omit<Invocation, 'flags' | 'words'> = {
      target: this.target,
      context: this.session,
      note: (line) => (text += `${name}: ${line}\n`),
      call: () => Promise.reject(new Error('no other command')),
    }
    try {
      const report = await Class.answer(words, around)
      for (const piece of report.text) text += piece
      return { text, rows: report.rows, failed: report.failed === true }
    } catch (error) {
      return { text: text + failureOf(name, Class.synopsis, error).text, rows: null, failed: true }
    }
  }
}
