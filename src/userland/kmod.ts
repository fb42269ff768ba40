/** insmod, rmmod, lsmod, modinfo: what they ask of the kernel, and what they say. @see kmod tools/ */

import { ENOENT, ENOSYS, EWOULDBLOCK, strerror } from '../abi/errno.ts'
import { findModuleDefinition, type ModuleDefinition } from '../linux/kernel/module/api.ts'
import { vermagic } from '../linux/kernel/module/main.ts'
import { request } from '../linux/kernel/syscalls.ts'
import { utsname } from './coreutils/small.ts'
import { stat } from './execve.ts'
import { insmodError, insmodNoFile, rmmodError } from './kmod-text.ts'
import type { Process, Program } from './process.ts'
import { complain, linesOf, print, readText } from './stdio.ts'

/** `insmod FILE.ko [param=value …]` @param argv with the program's name */
export const insmod = (argv: readonly string[]): Program =>
  function* (p) {
    const [, path, ...params] = argv
    if (path === undefined) return yield* complain(p, 'insmod: ERROR: missing filename.')
    const fd = yield* p.open(path, 0)
    if (fd < 0) return yield* complain(p, insmodNoFile(path, -fd))
    const args = p.string(params.join(' '))
    let result = yield* p.syscall('finit_module', fd, args, 0)
    yield* p.close(fd)
    if (result === -ENOSYS) {
      // before 3.8 the file is read into memory
      request(p.k, { module: path })
      result = yield* p.syscall('init_module', p.alloc(64), 64, args)
    }
    return result === 0 ? 0 : yield* complain(p, insmodError(path, -result))
  }

/** `rmmod NAME…`: a name may be that of the file. */
export const rmmod = (argv: readonly string[]): Program =>
  function* (p) {
    if (argv.length < 2) return yield* complain(p, 'rmmod: ERROR: missing module name.')
    let status = 0
    for (const word of argv.slice(1)) {
      const name = word.replace(/^.*\//, '').replace(/\.ko$/, '').replaceAll('-', '_')
      const holders = (yield* loadedModules(p)).find((row) => row.name === name)?.users ?? []
      if (holders.length > 0) {
        status = yield* complain(p, rmmodError(name, { users: holders }))
        continue
      }
      const mark = p.mark()
      const result = yield* p.syscall('delete_module', p.string(name), 0x800)
      p.release(mark)
      if (result === 0) continue
      const problem = -result === ENOENT ? 'absent' : -result === EWOULDBLOCK ? 'in use' : -result
      status = yield* complain(p, rmmodError(name, problem))
    }
    return status
  }

interface LoadedRow {
  readonly name: string
  readonly size: string
  readonly refcount: string
  readonly users: readonly string[]
}

/** The lines of /proc/modules. @see kernel/module/procfs.c:m_show */
function* loadedModules(p: Process): Generator<unknown, LoadedRow[]> {
  return linesOf((yield* readText(p, '/proc/modules')) ?? '').map((line) => {
    const [name = '', size = '', refcount = '', users = '-'] = line.split(' ')
    return {
      name,
      size,
      refcount,
      users: users === '-' ? [] : users.split(',').filter((user) => user !== ''),
    }
  })
}

/** `lsmod` */
export const lsmod = (argv: readonly string[]): Program =>
  function* (p) {
    if (argv.length > 1) return yield* complain(p, `Usage: ${argv[0] ?? 'lsmod'}`)
    yield* print(p, 'Module                  Size  Used by\n')
    for (const { name, size, refcount, users } of yield* loadedModules(p)) {
      const holders = users.length === 0 ? '' : ` ${users.join(',')}`
      yield* print(p, `${name.padEnd(19)} ${size.padStart(8)}  ${refcount}${holders}\n`)
    }
    return 0
  }

const COLUMN = 16

/**
 * `modinfo FILE.ko|NAME…`
 * @remarks what a module's file holds is its definition, found by the file's name
 */
export const modinfo = (argv: readonly string[]): Program =>
  function* (p) {
    let status = 0
    for (const word of argv.slice(1)) {
      const [, , release] = yield* utsname(p)
      const isFile = word.includes('/') || word.endsWith('.ko')
      const path = isFile ? word : `/usr/lib/modules/${release}/extra/${word}.ko`
      const found = yield* stat(p, path)
      const definition = typeof found === 'number' ? undefined : findModuleDefinition(path)
      if (definition === undefined) {
        const why = isFile && typeof found === 'number' ? strerror(-found) : 'not found.'
        status = yield* complain(p, `modinfo: ERROR: Module ${word} ${why}`)
        continue
      }
      for (const [key, value] of modinfoOf(p, path, definition))
        yield* print(p, `${`${key}:`.padEnd(COLUMN)}${value}\n`)
    }
    return status
  }

/** The strings of `.modinfo`. */
function modinfoOf(p: Process, path: string, definition: ModuleDefinition): [string, string][] {
  const { license, description, author, version, srcversion, params = [] } = definition
  const given: [string, string | undefined][] = [
    ['filename', path],
    ['version', version],
    ['license', license],
    ['description', description],
    ['author', author],
    ['srcversion', srcversion],
    ['depends', ''],
    ['retpoline', p.abi.wordSize === 8 ? 'Y' : undefined],
    ['intree', definition.intree === true ? 'Y' : undefined],
    ['name', definition.name],
    ['vermagic', definition.vermagic ?? vermagic(p.k)],
    ...params.map(({ name, type, description: text }): [string, string] => [
      'parm',
      `${name}:${text === undefined ? '' : text} (${type})`,
    ]),
  ]
  return given.filter((row): row is [string, string] => row[1] !== undefined)
}
