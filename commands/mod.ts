import { DumpCommand, type Invocation, type Report } from '../src/crash/dump-command.ts'
import { modulesReport, readModules, taintsReport } from '../src/crash/mod-text.ts'

/** Rows: {@link ModuleJson} each. */
export default class Mod extends DumpCommand {
  static override summary = 'loaded modules: struct module, name, base, size'
  static override synopsis =
    'mod -s module [objfile] | -d module | -S [directory] [-D|-t|-r|-R|-o|-g]\n  mod [-t]'
  static override examples = ['mod', 'mod -t', 'mod -s veth']
  static override crashFlags = {
    t: { kind: 'boolean', summary: 'only modules that taint the kernel, with their letters' },
    s: { kind: 'value', summary: 'one module; its symbols and types are in the dump already' },
    S: { kind: 'boolean', summary: 'all modules; their symbols and types are in the dump already' },
    d: { kind: 'value', summary: "nothing to do: a module's symbols are always there" },
    D: { kind: 'boolean', summary: 'nothing to do' },
    g: { kind: 'boolean', summary: 'accepted for habit: sections are in the symbols' },
    r: { kind: 'boolean', summary: 'read the modules again' },
    R: { kind: 'boolean', summary: 'read the modules again' },
    o: { kind: 'boolean', summary: 'accepted for habit' },
  } as const

  override show({ target, flags, note }: Invocation<typeof Mod>): Report {
    if (flags.t === true) return taintsReport(target)
    const name = flags.s ?? flags.d
    if (name !== undefined) {
      const known = readModules(target).modules.some((mod) => mod.name === name)
      if (!known) {
        note(`${name}: not found in module list`)
        return { rows: [], text: '', failed: true }
      }
      note(`no object file is needed: the dump has the symbols and types of ${name}`)
      return modulesReport(target, [name])
    }
    if (flags.S === true)
      note('no object files are needed: the dump has the symbols and types of all modules')
    if (flags.D === true || flags.r === true || flags.R === true || flags.o === true)
      return { rows: [], text: '' }
    return modulesReport(target)
  }
}
