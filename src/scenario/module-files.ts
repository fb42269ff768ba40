/**
 * Modules of a scenario's own: ES module files it names under `module_files`. They are programs of their author and run
 * with all rights of this process, so nothing is loaded that was not allowed.
 */

import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { CoredrillError } from '../base/errors.ts'
import { findModuleDefinition } from '../linux/kernel/module/api.ts'
import { moduleApi, type ModuleFactory } from '../modules/module-api.ts'
// the names that are taken
import './modules.ts'

/** Files loaded, by path: each once a process. */
const loaded = new Set<string>()

/** What a scenario says of its modules. */
interface WithModuleFiles {
  readonly moduleFiles: readonly string[]
}

/**
 * Load the files a scenario names.
 *
 * @param path of the scenario: names are relative to it
 * @param allowed did the user say `--allow-modules`?
 * @throws CoredrillError when that is not allowed, a file cannot be loaded, or it defines no module
 */
export async function loadModuleFiles(
  path: string,
  scenario: WithModuleFiles,
  allowed: boolean,
): Promise<void> {
  const { moduleFiles } = scenario
  if (moduleFiles.length === 0) return
  if (!allowed) {
    const names = moduleFiles.join(', ')
    const why = 'they are code of the scenario’s author and run with all rights of this process'
    throw new CoredrillError(
      'SCENARIO',
      `${path}: loads modules of its own (${names}): ${why}; --allow-modules permits it`,
    )
  }
  for (const name of moduleFiles) await loadModuleFile(resolve(dirname(path), name))
}

async function loadModuleFile(file: string): Promise<void> {
  if (loaded.has(file)) return
  await inModuleFile([file], async () => {
    const { default: factory } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as {
      default?: unknown
    }
    if (typeof factory !== 'function')
      throw new CoredrillError('SCENARIO', `${file}: its default export is no function`)
    let defined: string | undefined
    const defineModule: typeof moduleApi.defineModule = (definition) => {
      if (findModuleDefinition(definition.name) !== undefined)
        throw new CoredrillError('SCENARIO', `${file}: there is a module ${definition.name} already`)
      defined = definition.name
      return moduleApi.defineModule(definition)
    }
    ;(factory as ModuleFactory)({ ...moduleApi, defineModule })
    if (defined === undefined) throw new CoredrillError('SCENARIO', `${file}: it defines no module`)
  })
  loaded.add(file)
}

/** Do something in which modules of these files may fail: an error of theirs is one line that says where. */
async function inModuleFile<T>(files: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw errorIn(files, error)
  }
}

/** Run the machine; an error a module of the scenario's own made is one line that says where. */
export function withModuleFiles<T>(path: string, { moduleFiles }: WithModuleFiles, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw errorIn(
      moduleFiles.map((name) => resolve(dirname(path), name)),
      error,
    )
  }
}

function errorIn(files: readonly string[], error: unknown): unknown {
  if (error instanceof CoredrillError || !(error instanceof Error)) return error
  const stack = error.stack ?? ''
  const place = stack.split('\n').flatMap((line) => {
    const file = files.find((each) => line.includes(each) || line.includes(pathToFileURL(each).href))
    const number = /:(\d+)(?::\d+)?\)?$/.exec(line.trim())?.[1]
    return file === undefined || number === undefined ? [] : [`${file}:${number}`]
  })[0]
  const missing = 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
  const at = place ?? (missing ? files[0] : undefined)
  if (at === undefined) return error
  const file = at.startsWith('file:') ? fileURLToPath(at) : at
  const message =
    missing && place === undefined ? 'cannot be loaded: no such file' : `${error.name}: ${error.message}`
  return new CoredrillError('SCENARIO', `${file}: ${message.split('\n')[0] ?? ''}`)
}
