import { printOptions, radixOf } from '../src/crash/data-print.ts'
import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { Misuse } from '../src/crash/misuse.ts'
import { offsetOf } from '../src/crash/struct-command.ts'
import { treeReport, treeStart, treeType } from '../src/crash/tree-text.ts'

/** Rows: {@link TreeRow} each. */
export default class Tree extends DumpCommand {
  static override summary =
    'red-black trees, xarrays, radix and maple trees: their entries and members of them'
  static override synopsis = `tree -t [radix|rbtree|xarray|maple] [-r offset] [-[s|S] struct[.member[,member]]]
       [-x|-d] [-o offset] [-l] [-p] [-N] start`
  static override examples = [
    'tree -t rbtree vmap_area_root -o vmap_area.rb_node -s vmap_area.va_start,va_end',
    'tree -t xarray -r address_space.i_pages ffff8be584c1e1c0 -p',
  ]
  static override crashFlags = {
    t: { kind: 'value', summary: 'the kind of tree' },
    r: { kind: 'value', summary: 'where the root lies from the start: a number or struct.member' },
    o: { kind: 'value', summary: 'where the node lies in its struct (red-black trees)' },
    s: { kind: 'values', summary: 'show members of each entry' },
    S: { kind: 'values', summary: 'show members of each entry as plain numbers' },
    l: { summary: 'in key order (red-black trees)' },
    p: { summary: 'show the place in the tree' },
    N: { summary: 'the start is a node, no root' },
    x: { summary: 'numbers in hex' },
    d: { summary: 'numbers in decimal' },
  } as const

  override show({ target, context, flags, words, note }: Invocation<typeof Tree>): Report {
    const [word] = words
    if (flags.t === undefined || word === undefined || words.length > 1) throw new Misuse()
    const type = treeType(flags.t)
    return treeReport(target, {
      type,
      start: treeStart(target, word),
      from: flags.N === true ? 'node' : 'root',
      rootOffset: flags.r === undefined ? 0n : offsetOf(target, flags.r),
      nodeOffset: flags.o === undefined ? 0n : offsetOf(target, flags.o),
      linear: flags.l === true,
      positions: flags.p === true,
      show: {
        ...(flags.s !== undefined && { s: flags.s }),
        ...(flags.S !== undefined && { S: flags.S }),
      },
      print: printOptions(target, context, radixOf(flags)),
      note,
    })
  }
}
