import { SymCommand } from '../src/crash/data-sym.ts'

/** Rows: {@link SymbolRow} each. */
export default class Sym extends SymCommand {
  static override summary = 'symbols and their addresses'
  static override synopsis = 'sym [-l] | [-M] | [-m module] | [-p|-n] | [-q string] | [symbol | vaddr]'
  static override examples = [
    { command: 'sym schedule', description: 'Where it is' },
    { command: 'sym ffffffff81a52e2a', description: 'What is there' },
    { command: 'sym -q tcp_v4', description: 'Names with that text' },
  ]
}
