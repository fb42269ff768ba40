import { WhatisCommand } from '../src/crash/struct-whatis.ts'

/** Rows: {@link WhatisRow} each. */
export default class Whatis extends WhatisCommand {
  static override summary = 'what a name is: type, variable or function'
  static override synopsis = `whatis [[-o] [struct | union | typedef | symbol]] | 
         [[-r [size|range]] [-m member]]`
  static override examples = [
    { command: 'whatis sock', description: "A struct's declaration" },
    { command: 'whatis tcp_v4_rcv', description: "A function's" },
    { command: 'whatis -r 1024', description: 'Types of that size' },
    { command: 'whatis -m mm_struct', description: 'Types with such a member' },
  ]
}
