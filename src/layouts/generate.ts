/**
 * Makes what is generated here: the layouts' files, from a kernel's BTF and System.map (with `--from DIR`), and
 * the editor types of kernel structs, from the layouts' files alone.
 *
 *     npm run generate                      # src/btf/vmlinux.ts
 *     npm run generate -- --from DIR        # the layouts too: DIR/NAME.btf[.gz], DIR/System.map-RELEASE-ARCH[.gz]
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { UsageError } from '../base/errors.ts'
import { closeOver } from '../btf/closure.ts'
import { Btf } from '../btf/parse.ts'
import { encodeLayout, layoutPath, LAYOUTS, type LayoutName } from './layout.ts'
import { BTF_BUDGET, parseRoots } from './roots.ts'
import { parseSelection, parseSystemMap, selectSymbols } from './select.ts'
import { vmlinuxTypes } from './vmlinux-types.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** `src/layouts`, whether this runs from `src` or from `dist/src`. */
const folder = dirname(layoutPath('linux-6.1.192-x86_64'))

/** The bytes of `path` or of `path.gz`. */
function input(path: string): Buffer {
  if (existsSync(path)) return readFileSync(path)
  if (existsSync(`${path}.gz`)) return gunzipSync(readFileSync(`${path}.gz`))
  throw new UsageError(path, `${path}: no such file, nor ${path}.gz`)
}

function generateLayout(name: LayoutName, from: string): void {
  const roots = parseRoots(readFileSync(join(folder, 'roots.txt'), 'utf8'))
  const selection = parseSelection(readFileSync(join(folder, 'symbols.txt'), 'utf8'))
  const full = Btf.parse(input(join(from, `${name}.btf`)), { pointerSize: LAYOUTS[name], name })
  const closure = closeOver(full, roots, BTF_BUDGET)
  const map = join(from, `System.map-${name.replace(/^linux-/, '')}`)
  const symbols = selectSymbols(parseSystemMap(input(map).toString('latin1'), map), selection)
  const file = encodeLayout(closure.bytes, symbols)
  writeFileSync(join(folder, `${name}.bin`), file)
  const fillers = symbols.filter(({ filler }) => filler).length
  say(`${name}.bin: ${file.length} bytes`)
  say(`  BTF ${closure.bytes.length} bytes: ${closure.bodies} bodies, ${closure.forwards} forwards`)
  say(`  ${symbols.length} symbols, ${fillers} of them fillers`)
  if (closure.missing.length > 0) say(`  not in this kernel: ${closure.missing.join(', ')}`)
}

function main(args: readonly string[]): void {
  const [flag, from] = args
  if (flag === '--from' && from !== undefined) {
    for (const name of Object.keys(LAYOUTS)) generateLayout(name as LayoutName, from)
  } else if (flag !== undefined) throw new UsageError(flag, 'usage: npm run generate [-- --from DIR]')
  const text = vmlinuxTypes()
  writeFileSync(join(folder, '../btf/vmlinux.ts'), text)
  say(`src/btf/vmlinux.ts: ${text.length} bytes`)
}

main(process.argv.slice(2))
